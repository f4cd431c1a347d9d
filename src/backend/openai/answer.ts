/**
 * Assembles an answer from a server's chunks: joins tool calls, separates thinking from text, checks the request's
 * guarantees. Transport belongs to `exchange.ts`. Messages never quote model output, because the log repeats them and
 * must not hold answers.
 */
import type { LongText } from "@inferd/client/protocol";
import { BackendUnavailableError, InvalidRequestError, ToolCallMalformedError } from "../../inference/errors.ts";
import type { BackendEvent, TokenLogprob, Usage } from "../../inference/events.ts";
import type { GenerationRequest } from "../../inference/request.ts";
import { LeadingThought, type ThoughtOrText } from "./leading_thought.ts";
import { ToolCalls } from "./calls.ts";
import { type Piece, readChunk, UnreadableChunkError } from "./chunk.ts";
import { toFailure, UpstreamError } from "./errors.ts";
import { parseJson } from "./values.ts";
import { mustCall } from "../../inference/tool_choice.ts";

/** Longest answer in UTF-16 units; a server beyond it ignores its token limit. */
const MAX_ANSWER_LENGTH = 16 * 1024 * 1024;

/** Finish reasons in lower case; any other counts as the model's own stop. */
const ENDS: ReadonlyMap<string, "length" | "stop" | "broken" | "withheld"> = new Map([
  ...words("length", "length max_tokens max_new_tokens max_output_tokens max_completion_tokens model_length"),
  ...words("length", "context_length model_context_window_exceeded"),
  ...words("stop", "stop_sequence"),
  ...words("broken", "abort aborted cancelled canceled error network_error insufficient_system_resource"),
  ...words("withheld", "content_filter content_filtered safety recitation prohibited_content blocklist spii sensitive"),
]);

function words<T extends string>(end: T, names: string): [string, T][] {
  return names.split(" ").map((name) => [name, end]);
}

export class Answer {
  readonly #request: GenerationRequest<LongText>;
  /** The backend's name, for messages. */
  readonly #backend: string;
  readonly #calls: ToolCalls;
  readonly #marks = new LeadingThought();
  #finish: string | undefined;
  #complaint: unknown;
  /** Types of the pieces that came as deltas. */
  readonly #streamed = new Set<Piece["type"]>();
  #answered = false;
  #metStop = false;
  #usage: Partial<Usage> = {};
  /** Counts as tokens if the server reports no count. */
  #pieces = 0;
  #length = 0;
  /** Logprobs of tokens whose text is held back. */
  #logprobs: TokenLogprob[] = [];
  #toldLogprobs = false;
  #saidText = false;
  /** Buffered where the answer must be JSON. */
  #json: string[] = [];

  constructor(request: GenerationRequest<LongText>, backend: string) {
    this.#request = request;
    this.#backend = backend;
    this.#calls = new ToolCalls(request);
  }

  /** UTF-16 units received: text, thinking and calls, including what is not forwarded. */
  get length(): number {
    return this.#length;
  }

  /** The server has given the reason for the end. */
  get ended(): boolean {
    return this.#finish !== undefined;
  }

  get begun(): boolean {
    return this.#pieces > 0;
  }

  /**
   * Read a chunk.
   *
   * @throws {UpstreamError} If it reports a failure.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If the chunk itself is invalid.
   */
  take(value: unknown): BackendEvent[] {
    const { failure, complaint, answers, pieces, isWhole, logprobs, finish, stops, usage } = this.#read(value);
    if (failure !== undefined) throw new UpstreamError(toFailure(failure));
    this.#complaint ??= complaint;
    this.#answered ||= answers;
    this.#usage = { ...this.#usage, ...usage };
    const events: BackendEvent[] = [];
    this.#logprobs.push(...logprobs);
    for (const piece of pieces) {
      if (!isWhole) this.#streamed.add(piece.type);
      // Some servers repeat the whole message at the end.
      if (!isWhole || !this.#streamed.has(piece.type)) this.#piece(piece, events);
    }
    this.#finish = finish ?? this.#finish;
    if (stops.some((stop) => this.#request.stop.includes(stop))) this.#metStop = true;
    if (this.#length > MAX_ANSWER_LENGTH) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" does not end its answer`);
    }
    return events;
  }

  /**
   * Finish the answer.
   *
   * @param options `complete`: the server marked the end of the stream; otherwise the answer needs a finish reason.
   * @throws {UpstreamError} If the server reported a failure in place of an end.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If the answer is incomplete or
   * breaks a guarantee.
   */
  end({ complete }: { readonly complete: boolean }): BackendEvent[] {
    const { toolChoice, responseSchema, stop } = this.#request;
    if (this.#finish === undefined && this.#complaint !== undefined) {
      throw new UpstreamError(toFailure(this.#complaint));
    }
    if (!this.#answered) throw this.#unreadable();
    const end = this.#finish === undefined ? undefined : ENDS.get(this.#finish.toLowerCase());
    if (end === "broken" || (this.#finish === undefined && !complete)) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" broke off its answer`);
    }
    if (end === "withheld") {
      throw new InvalidRequestError(`Backend "${this.#backend}" withheld the answer because of its content filter`);
    }
    const cut = end === "length";
    const events: BackendEvent[] = [];
    this.#tell(this.#marks.end(), events);
    events.push(...this.#calls.end({ cut }));
    if (this.#request.logprobs !== undefined && this.#saidText && !this.#toldLogprobs) {
      throw new InvalidRequestError(`"logprobs" are not supported by the server of backend "${this.#backend}"`);
    }
    const called = this.#calls.count > 0;
    const unsatisfied = mustCall(toolChoice) && !called;
    // Some servers ignore `tool_choice`.
    if (unsatisfied && !cut) {
      throw new ToolCallMalformedError("The model did not call a tool, although one was required");
    }
    if (responseSchema !== undefined && !cut && !called && parseJson(this.#json.join("")) === undefined) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" did not follow "response_format"`);
    }
    const stopped = this.#metStop || (end === "stop" && stop.length > 0);
    events.push({
      type: "done",
      reason: cut ? "length" : called ? "tool_use" : stopped ? "stop" : "end",
      usage: this.#counts(),
      ...(unsatisfied ? { toolChoiceUnsatisfied: true } : {}),
    });
    return events;
  }

  #read(value: unknown): ReturnType<typeof readChunk> {
    try {
      return readChunk(value);
    } catch (error) {
      if (error instanceof UnreadableChunkError) throw this.#unreadable();
      throw error;
    }
  }

  #piece(piece: Piece, events: BackendEvent[]): void {
    this.#pieces++;
    this.#length += piece.type === "call" ? piece.call.written.length : piece.text.length;
    switch (piece.type) {
      case "text":
        return this.#tell(this.#marks.take(piece.text), events);
      case "thinking":
        // Only servers that leave thinking in the text leave its marks there.
        this.#tell(this.#marks.skip(), events);
        return this.#tell([{ type: "thinking", text: piece.text }], events);
      case "refusal":
        if (this.#request.responseSchema !== undefined) {
          throw new InvalidRequestError("The model refused to answer in the requested format");
        }
        return this.#tell([...this.#marks.skip(), { type: "text", text: piece.text }], events);
      case "call":
        this.#tell(this.#marks.skip(), events);
        events.push(...this.#calls.take(piece.call));
    }
  }

  #tell(pieces: readonly ThoughtOrText[], events: BackendEvent[]): void {
    for (const { type, text } of pieces) {
      if (type === "text" && this.#request.responseSchema !== undefined) this.#json.push(text);
      if (type === "text") events.push({ type, text, ...this.#takeLogprobs() });
      else {
        this.#logprobs = [];
        // Some models cannot be kept from thinking; drop it unless the caller asked for it.
        if (this.#request.thinking) events.push({ type, text });
      }
    }
  }

  #takeLogprobs(): { readonly logprobs?: readonly TokenLogprob[] } {
    this.#saidText = true;
    if (this.#request.logprobs === undefined) return {};
    const logprobs = this.#logprobs;
    this.#logprobs = [];
    this.#toldLogprobs ||= logprobs.length > 0;
    return { logprobs };
  }

  /** The server's token counts; a zero for a non-empty answer counts as missing. */
  #counts(): Usage {
    const { promptTokens = 0, completionTokens, cachedTokens = 0 } = this.#usage;
    return { promptTokens, completionTokens: completionTokens || this.#pieces, cachedTokens };
  }

  #unreadable(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#backend}" sent an invalid chat completion`);
  }
}
