/**
 * Ends of an answer that depend on its lines, as editors ask llama-server for them: at a line's end after some time, and
 * before a line that is indented less. The daemon knows neither, so the rest of the answer is cancelled here.
 */
import type { GenerationEvent, GenerationResult, TokenLogprob, Usage } from "@inferd/client";

export interface LineLimits {
  /** The answer ends with the first line that is complete after this time, in milliseconds from its first piece. */
  readonly maxMs?: number;
  /** Each line but the first begins with this many spaces and tabs at least, or the answer ends before it. */
  readonly indent?: number;
}

type TextEvent = Extract<GenerationEvent, { readonly type: "text" }>;
type ProgressEvent = Extract<GenerationEvent, { readonly type: "progress" }>;

/**
 * @param now The time in milliseconds; for tests.
 * @returns The events up to the end; those after it are not asked for.
 */
export async function* withinLines(
  events: AsyncIterable<GenerationEvent>,
  limits: LineLimits,
  now: () => number = () => performance.now(),
): AsyncGenerator<GenerationEvent> {
  const lines = new Lines(limits);
  const said = { text: "", thinking: "", logprobs: [] as TokenLogprob[], pieces: 0 };
  let last: ProgressEvent | undefined;
  let startedAt: number | undefined;
  for await (const event of events) {
    if (event.type === "progress") last = event;
    if (event.type === "thinking") said.thinking += event.text;
    if (event.type !== "text") {
      yield event;
      continue;
    }
    startedAt ??= now();
    said.pieces++;
    const length = lines.add(event.text, now() - startedAt);
    const kept = length === undefined ? event : cut(event, length);
    said.text += kept.text;
    said.logprobs.push(...kept.logprobs ?? []);
    if (kept.text !== "") yield kept;
    if (length === undefined) continue;
    const { pieces, logprobs, ...texts } = said;
    yield {
      type: "done",
      ...texts,
      ...(event.logprobs === undefined ? {} : { logprobs }),
      toolCalls: [],
      usage: last?.usage ?? guess(pieces),
      ...(last === undefined ? {} : { timings: last.timings }),
      stopReason: "max_tokens",
      backend: "",
      toolChoiceUnsatisfied: false,
    } satisfies GenerationResult & { readonly type: "done" };
    return;
  }
}

/** Servers elsewhere count only at the end. */
function guess(completionTokens: number): Usage {
  return { promptTokens: 0, completionTokens };
}

function cut(event: TextEvent, length: number): TextEvent {
  if (event.logprobs === undefined) return { ...event, text: event.text.slice(0, length) };
  let at = 0;
  const logprobs = event.logprobs.filter(({ token }) => (at += token.length) <= length);
  return { ...event, text: event.text.slice(0, length), logprobs };
}

/** Looks for the end of an answer while it is written. */
class Lines {
  readonly #maxMs: number;
  readonly #least: number;
  /** Spaces and tabs at the beginning of the current line; absent behind them, and in the first line. */
  #indent: number | undefined;

  constructor({ maxMs = Infinity, indent = 0 }: LineLimits) {
    this.#maxMs = maxMs;
    this.#least = indent;
  }

  /** @returns How much of the text belongs to the answer, if it ends in it. */
  add(text: string, ms: number): number | undefined {
    for (let at = 0; at < text.length; at++) {
      const character = text[at];
      if (this.#indent !== undefined) {
        if (character === " " || character === "\t") {
          this.#indent++;
          continue;
        }
        if (this.#indent < this.#least) return at;
        this.#indent = undefined;
      }
      if (character !== "\n") continue;
      if (ms > this.#maxMs) return at + 1;
      this.#indent = 0;
    }
    return undefined;
  }
}
