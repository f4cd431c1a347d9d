/**
 * Tool call ids in the format of each API. The daemon's ids (`tc-1`) are unique only within the conversation it is
 * sent; clients drop old turns and merge conversations, so theirs must be globally unique.
 */
import type { GenerationEvent } from "@inferd/client";
import type { RequestKind } from "./request_record.ts";

/** Id prefixes, by which clients recognise the API. */
const PREFIXES: Readonly<Record<RequestKind["api"], string>> = {
  openai: "call_",
  anthropic: "toolu_",
  ollama: "call_",
  llama_server: "call_",
};

/** OpenAI allows at most 40 characters. */
const RANDOM_CHARACTERS = 24;

export class CallIds {
  readonly #prefix: string;
  readonly #ids = new Map<string, string>();

  constructor(api: RequestKind["api"]) {
    this.#prefix = PREFIXES[api];
  }

  /** Replace the ids in an event; the same call gets the same id in all events. */
  rename<Event extends GenerationEvent>(event: Event): Event {
    if (event.type === "tool_use") return { ...event, toolCallId: this.#idOf(event.toolCallId) };
    if (event.type !== "done" || event.toolCalls.length === 0) return event;
    const toolCalls = event.toolCalls.map((call) => ({ ...call, toolCallId: this.#idOf(call.toolCallId) }));
    return { ...event, toolCalls };
  }

  #idOf(given: string): string {
    let id = this.#ids.get(given);
    if (id === undefined) {
      id = this.#prefix + crypto.randomUUID().replaceAll("-", "").slice(0, RANDOM_CHARACTERS);
      this.#ids.set(given, id);
    }
    return id;
  }
}
