/** A remote backend with a scripted server behind it, and what is asked of the one and said by the other. */
import type { BackendEvent } from "../../src/inference/events.ts";
import { type DefaultedField, type GenerationRequest, PLAIN, type Tool } from "../../src/inference/request.ts";
import { OpenAiBackend } from "../../src/backend/openai/openai.ts";
import type { OpenAiBackendConfig } from "../../src/config/options.ts";
import { type Pace, UNPACED } from "../../src/ndjson/pace.ts";
import { Notices } from "./notices.ts";
import { type Answering, chunk, OpenAiServer } from "./openai_server.ts";

/** A signal that never fires. */
export const NEVER = new AbortController().signal;

export const WEATHER: Tool = {
  name: "get_weather",
  description: "The weather of a city",
  inputSchema: { type: "object", properties: { city: { type: "string" } } },
};
export const TIME: Tool = { name: "get_time", description: "", inputSchema: { type: "object" } };
export const TOOLS = { tools: [WEATHER, TIME] };

/** All that a surface fills in. */
export const DEFAULTED: readonly DefaultedField[] = ["temperature", "top_p", "top_k", "max_tokens"];

/** A request of which the caller has said no more than `fields`. */
export function ask(fields: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    ...PLAIN,
    messages: [{ role: "user", content: "hello" }],
    sampling: { temperature: 0.5, topP: 0.9, topK: 64 },
    maxTokens: 100,
    defaulted: DEFAULTED,
    stop: [],
    ...fields,
  };
}

/** A backend that has started, and the server behind it. */
export class Remote implements AsyncDisposable {
  readonly server: OpenAiServer;
  readonly backend: OpenAiBackend;
  readonly notices = new Notices();

  private constructor(answering: Answering | undefined, config: Partial<OpenAiBackendConfig>, pace?: Pace) {
    this.server = new OpenAiServer(answering);
    this.backend = remote({ baseUrl: this.server.url, ...config }, pace);
  }

  static async start(
    answering?: Answering,
    config: Partial<OpenAiBackendConfig> = {},
    pace?: Pace,
  ): Promise<Remote> {
    const started = new Remote(answering, config, pace);
    await started.backend.start(started.notices.notify, NEVER);
    return started;
  }

  generate(fields: Partial<GenerationRequest> = {}, signal = NEVER): AsyncGenerator<BackendEvent> {
    return this.backend.generate(ask(fields), signal);
  }

  events(fields: Partial<GenerationRequest> = {}): Promise<BackendEvent[]> {
    return Array.fromAsync(this.generate(fields));
  }

  /** What is asked of the server for a request. */
  async sent(fields: Partial<GenerationRequest> = {}): Promise<Record<string, unknown>> {
    await this.events(fields);
    return this.server.asked.at(-1)?.body ?? {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.backend[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** A backend that has not started. */
export function remote(config: Partial<OpenAiBackendConfig>, pace: Pace = UNPACED): OpenAiBackend {
  const whole = { kind: "openai-compat", name: "far", baseUrl: "", model: "big", timeoutSecs: 60, ...config } as const;
  return new OpenAiBackend(whole, { parallel: 3, pace, now: () => Date.now() });
}

/** What comes of an answer of these chunks. */
export async function read(
  chunks: readonly unknown[],
  fields: Partial<GenerationRequest> = {},
): Promise<BackendEvent[]> {
  await using started = await Remote.start((asked) => asked.stream(...chunks));
  return await started.events(fields);
}

export function last(events: readonly BackendEvent[]): Extract<BackendEvent, { type: "done" }> {
  const event = events.at(-1);
  if (event?.type !== "done") throw new Error(`The last event is ${JSON.stringify(event)}`);
  return event;
}

export function textOf(events: readonly BackendEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

export function thoughtOf(events: readonly BackendEvent[]): string {
  return events.map((event) => event.type === "thinking" ? event.text : "").join("");
}

/** A piece of a call. */
export interface WrittenPiece {
  readonly index?: unknown;
  readonly id?: unknown;
  readonly name?: unknown;
  readonly input?: unknown;
}

/** One piece of a call as a chunk of its own. */
export function callPiece(piece: WrittenPiece): Record<string, unknown> {
  return callPieces(piece);
}

/** Several pieces of calls in one chunk. */
export function callPieces(...pieces: readonly WrittenPiece[]): Record<string, unknown> {
  return chunk({
    tool_calls: pieces.map(({ index, id, name, input }) => ({
      index,
      id,
      type: "function",
      function: { name, arguments: input },
    })),
  });
}

/** The end of an answer that calls tools. */
export const CALLED = [chunk({}, "tool_calls"), "[DONE]"];
