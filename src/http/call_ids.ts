/**
 * Ids of tool calls as these APIs have them. The daemon's are unique in the conversation that it is sent (`tc-1`);
 * clients drop old turns and join conversations, so theirs have to be unique everywhere.
 */
import type { GenerationV2Event } from "@inferd/client";
import type { RequestKind } from "./request_record.ts";

/** What ids begin with; clients tell by it whose they are. */
const PREFIXES: Readonly<Record<RequestKind["api"], string>> = {
  openai: "call_",
  anthropic: "toolu_",
  ollama: "call_",
  llama_server: "call_",
};

/** OpenAI takes ids of at most 40 characters. */
const RANDOM_CHARACTERS = 24;

/** The ids of one answer. */
export class CallIds {
  readonly #prefix: string;
  readonly #ids = new Map<string, string>();

  /** @param api Whose form they have. */
  constructor(api: RequestKind["api"]) {
    this.#prefix = PREFIXES[api];
  }

  /**
   * An event with ids of this API; one call has the same id in all events.
   *
   * @param event The daemon's event.
   */
  rename<Event extends GenerationV2Event>(event: Event): Event {
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
