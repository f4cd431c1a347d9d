/**
 * An answer from the chunks a server sends: calls of tools put together, thoughts separated from text, the promises of the
 * request kept. How the chunks travel is not its business. No message here repeats what a model wrote: the log, which
 * holds no answers, repeats messages.
 */
import { BackendUnavailableError, InvalidRequestError, ToolCallMalformedError } from "../../inference/errors.ts";
import type { BackendEvent, TokenLogprob, Usage } from "../../inference/events.ts";
import type { GenerationRequest } from "../../inference/request.ts";
import { LeadingThought, type ThoughtOrText } from "./leading_thought.ts";
import { ToolCalls } from "./calls.ts";
import { type Piece, readChunk, UnreadableChunkError } from "./chunk.ts";
import { toFailure, UpstreamError } from "./errors.ts";
import { parseJson } from "./values.ts";
import { mustCall } from "../../inference/tool_choice.ts";

/** The most an answer may come to, in UTF-16 units: beyond it a server has lost count of its tokens. */
const MAX_ANSWER_LENGTH = 16 * 1024 * 1024;

/** What servers call an end, in lower case; any other word is the model's own end. */
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

/** One answer in the making. */
export class Answer {
  readonly #request: GenerationRequest;
  /** Who answers, for messages. */
  readonly #backend: string;
  readonly #calls: ToolCalls;
  readonly #marks = new LeadingThought();
  #finish: string | undefined;
  #answered = false;
  #metStop = false;
  #usage: Partial<Usage> = {};
  /** Stand for tokens where the server does not count them. */
  #pieces = 0;
  #length = 0;
  /** What was told of tokens whose text is held back. */
  #logprobs: TokenLogprob[] = [];
  #toldLogprobs = false;
  #saidText = false;
  /** Kept where it has to be JSON. */
  #json: string[] = [];

  constructor(request: GenerationRequest, backend: string) {
    this.#request = request;
    this.#backend = backend;
    this.#calls = new ToolCalls(request);
  }

  /** How much has come, in UTF-16 units: text, thoughts and calls, also what the caller is not told. */
  get length(): number {
    return this.#length;
  }

  /** Whether there is something of it. */
  get begun(): boolean {
    return this.#pieces > 0;
  }

  /**
   * Read a chunk.
   *
   * @param value Parsed JSON.
   * @returns What it says.
   * @throws {UpstreamError} If it says that something went wrong.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If it is wrong itself.
   */
  take(value: unknown): BackendEvent[] {
    const { failure, answers, pieces, logprobs, finish, stops, usage } = this.#read(value);
    if (failure !== undefined) throw new UpstreamError(toFailure(failure));
    this.#answered ||= answers;
    this.#usage = { ...this.#usage, ...usage };
    const events: BackendEvent[] = [];
    this.#logprobs.push(...logprobs);
    for (const piece of pieces) this.#piece(piece, events);
    this.#finish = finish ?? this.#finish;
    if (stops.some((stop) => this.#request.stop.includes(stop))) this.#metStop = true;
    if (this.#length > MAX_ANSWER_LENGTH) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" does not come to an end`);
    }
    return events;
  }

  /**
   * Nothing follows.
   *
   * @param options `complete`: the server says that this was all; where it does not, its last word has to.
   * @returns The last events.
   * @throws {BackendUnavailableError | InvalidRequestError | ToolCallMalformedError} If that cannot be all.
   */
  end({ complete }: { readonly complete: boolean }): BackendEvent[] {
    const { toolChoice, responseSchema, stop } = this.#request;
    if (!this.#answered) throw this.#unreadable();
    const end = this.#finish === undefined ? undefined : ENDS.get(this.#finish.toLowerCase());
    if (end === "broken" || (this.#finish === undefined && !complete)) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" broke off its answer`);
    }
    if (end === "withheld") {
      throw new InvalidRequestError(`Backend "${this.#backend}" withheld the answer: its content filter forbids it`);
    }
    const cut = end === "length";
    const events: BackendEvent[] = [];
    this.#tell(this.#marks.end(), events);
    events.push(...this.#calls.end({ cut }));
    if (this.#request.logprobs !== undefined && this.#saidText && !this.#toldLogprobs) {
      throw new InvalidRequestError(`"logprobs" cannot be told by backend "${this.#backend}": its server does not`);
    }
    const called = this.#calls.count > 0;
    const unsatisfied = mustCall(toolChoice) && !called;
    // Some servers take no notice of the choice.
    if (unsatisfied && !cut) throw new ToolCallMalformedError("The model had to call a tool and did not");
    if (responseSchema !== undefined && !cut && !called && parseJson(this.#json.join("")) === undefined) {
      throw new BackendUnavailableError(`Backend "${this.#backend}" did not answer as "response_format" demands`);
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
        // Only a server that leaves thoughts in the text leaves the marks there.
        this.#tell(this.#marks.skip(), events);
        return this.#tell([{ type: "thinking", text: piece.text }], events);
      case "refusal":
        if (this.#request.responseSchema !== undefined) {
          throw new InvalidRequestError("The model refused to answer this in the form that is asked for");
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
        // Some models cannot be kept from thinking; the caller did not ask to see it.
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

  /** What the server counted; a count of no tokens for an answer that has some is none. */
  #counts(): Usage {
    const { promptTokens = 0, completionTokens, cachedTokens = 0 } = this.#usage;
    return { promptTokens, completionTokens: completionTokens || this.#pieces, cachedTokens };
  }

  #unreadable(): BackendUnavailableError {
    return new BackendUnavailableError(`Backend "${this.#backend}" sent something that is no chat completion`);
  }
}
