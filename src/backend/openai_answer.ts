/**
 * An answer from the pieces a server sends: what a chunk of a chat completion holds, calls of tools put together, the
 * promises of the request kept. How the pieces travel is not its business. No message here repeats what a model wrote:
 * the log, which holds no answers, repeats messages.
 */
import { z } from "zod";
import {
  type BackendEvent,
  BackendUnavailableError,
  type GenerationRequest,
  InvalidRequestError,
  ToolCallMalformedError,
  type Usage,
} from "./backend.ts";
import { ToolCalls } from "./openai_calls.ts";
import { toFailure, toUpstreamError, type Upstream } from "./openai_errors.ts";

/** The most an answer may come to, in UTF-16 units: beyond it a server has lost count of its tokens. */
const MAX_ANSWER_LENGTH = 16 * 1024 * 1024;

const text = z.string().nullish();
const count = z.int().nonnegative();

const call = z.object({
  index: count.nullish(),
  id: text,
  function: z.object({
    name: text,
    // Ollama has sent objects.
    arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  }).nullish(),
});

/** What `delta` holds in a stream, and `message` in an answer that comes as a whole. */
const part = z.object({
  content: text,
  reasoning_content: text,
  reasoning: text,
  refusal: text,
  tool_calls: z.array(call).nullish(),
});

const chunk = z.object({
  error: z.unknown().optional(),
  choices: z.array(z.object({
    index: z.number().nullish(),
    delta: part.nullish(),
    message: part.nullish(),
    finish_reason: text,
    /** Of vLLM: the stop string that was met. */
    stop_reason: z.unknown().optional(),
  })).nullish(),
  usage: z.object({
    prompt_tokens: count.nullish(),
    completion_tokens: count.nullish(),
    prompt_tokens_details: z.object({ cached_tokens: count.nullish() }).nullish(),
  }).nullish(),
});

type Choice = NonNullable<z.infer<typeof chunk>["choices"]>[number];
type Part = z.infer<typeof part>;

/** One answer in the making. */
export class Answer {
  readonly #request: GenerationRequest;
  readonly #upstream: Upstream;
  readonly #calls: ToolCalls;
  #finish: string | undefined;
  #metStop = false;
  #usage: Usage | undefined;
  /** Stand for tokens where the server does not count them. */
  #pieces = 0;
  #length = 0;
  /** Kept where it has to be JSON. */
  #json: string[] = [];

  constructor(request: GenerationRequest, upstream: Upstream) {
    this.#request = request;
    this.#upstream = upstream;
    this.#calls = new ToolCalls(request);
  }

  /**
   * Read a chunk.
   *
   * @param value Parsed JSON.
   * @returns What it says.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If it says that something is
   * wrong, or is wrong itself.
   */
  take(value: unknown): BackendEvent[] {
    const parsed = chunk.safeParse(value);
    if (!parsed.success) throw this.#unreadable();
    const { error, choices, usage } = parsed.data;
    if (error !== undefined && error !== null) throw toUpstreamError(toFailure(value), this.#upstream);
    // Some servers send one that holds nothing.
    if (typeof usage?.prompt_tokens === "number") {
      this.#usage = {
        promptTokens: usage.prompt_tokens,
        completionTokens: usage.completion_tokens ?? 0,
        cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
      };
    }
    const events: BackendEvent[] = [];
    for (const choice of choices ?? []) if ((choice.index ?? 0) === 0) this.#choice(choice, events);
    if (this.#length > MAX_ANSWER_LENGTH) {
      throw new BackendUnavailableError(`Backend "${this.#upstream.name}" does not come to an end`);
    }
    return events;
  }

  /**
   * Nothing follows.
   *
   * @returns The last events.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If that cannot be all.
   */
  end(): BackendEvent[] {
    const { toolChoice, responseSchema } = this.#request;
    this.#checkFinish();
    const cut = this.#finish === "length" || this.#finish === "max_tokens";
    const events: BackendEvent[] = this.#calls.end({ cut });
    const called = this.#calls.count > 0;
    const unsatisfied = toolChoice === "required" && !called;
    // Some servers take no notice of the choice.
    if (unsatisfied && !cut) throw new ToolCallMalformedError("The model had to call a tool and did not");
    if (responseSchema !== undefined && !cut && !called && !isJson(this.#json.join(""))) {
      throw new BackendUnavailableError(`Backend "${this.#upstream.name}" did not answer as "response_format" demands`);
    }
    events.push({
      type: "done",
      reason: cut ? "length" : called ? "tool_use" : this.#metStop ? "stop" : "end",
      usage: this.#usage ?? { promptTokens: 0, completionTokens: this.#pieces, cachedTokens: 0 },
      ...(unsatisfied ? { toolChoiceUnsatisfied: true } : {}),
    });
    return events;
  }

  #choice(choice: Choice, events: BackendEvent[]): void {
    const part = choice.delta ?? choice.message;
    if (part !== undefined && part !== null) this.#part(part, events);
    if (choice.finish_reason) this.#finish = choice.finish_reason;
    const { stop_reason } = choice;
    if (typeof stop_reason === "string" && this.#request.stop.includes(stop_reason)) this.#metStop = true;
  }

  #part(part: Part, events: BackendEvent[]): void {
    const thought = part.reasoning_content || part.reasoning;
    if (thought) {
      this.#count(thought.length);
      // Some models cannot be kept from thinking; the caller did not ask to see it.
      if (this.#request.thinking) events.push({ type: "thinking", text: thought });
    }
    if (part.content) this.#text(part.content, events);
    if (part.refusal) {
      if (this.#request.responseSchema !== undefined) {
        throw new InvalidRequestError("The model refused to answer this in the form that is asked for");
      }
      this.#text(part.refusal, events);
    }
    for (const [position, piece] of (part.tool_calls ?? []).entries()) {
      const { name, arguments: input } = piece.function ?? {};
      const written = typeof input === "object" && input !== null ? JSON.stringify(input) : input ?? "";
      this.#count(written.length);
      const index = piece.index ?? (part.tool_calls?.length === 1 ? undefined : position);
      events.push(...this.#calls.take({ index, id: piece.id || undefined, name: name || undefined, written }));
    }
  }

  #text(text: string, events: BackendEvent[]): void {
    this.#count(text.length);
    if (this.#request.responseSchema !== undefined) this.#json.push(text);
    events.push({ type: "text", text });
  }

  #count(length: number): void {
    this.#pieces++;
    this.#length += length;
  }

  #checkFinish(): void {
    switch (this.#finish) {
      case undefined:
      case "abort":
      case "error":
        throw new BackendUnavailableError(`Backend "${this.#upstream.name}" broke off its answer`);
      case "content_filter":
        throw new InvalidRequestError(
          `Backend "${this.#upstream.name}" withheld the answer: its content filter forbids it`,
        );
    }
  }

  #unreadable(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#upstream.name}" sent something that is no chat completion`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
