/** A model that is a function of all tokens before, so that a wrong token in memory shows in what comes after it. */
import { assert, assertEquals } from "@std/assert";
import type { DecodeOutcome, Decoder } from "../../../../../src/engine/native/context.ts";
import type { EngineEvent } from "../../../../../src/engine/ipc/messages.ts";
import { ForcedTokens } from "../../../../../src/engine/generate/ahead/forced_tokens.ts";
import type { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";

export const VOCABULARY = 128;
export const END = 0;

/** A letter that depends on everything before, so that an answer never ends by itself. */
export function letterAfter(tokens: readonly number[]): number {
  return 97 + tokens.reduce((sum, token, at) => (sum + token * (at + 1)) % 26, 0);
}

/** The token that comes after others, or a logit for each. */
export type Next = (tokens: readonly number[]) => number | Float32Array;

/** Memory of tokens. */
export class FunctionDecoder implements Decoder {
  readonly cells = 10_000;
  readonly apart = false;
  worthCopying(): number {
    return 16;
  }
  readonly sequences: number[][];
  /** How many tokens each batch had. */
  readonly batches: number[] = [];
  /** Called while a batch is decoded; true: it is given up when about half of it is in memory. */
  meanwhile: () => boolean = () => false;
  /** Called after each batch with its tokens. */
  onDecode: (tokens: number) => void = () => {};
  readonly #next: Next;
  #batch: { readonly token: number; readonly sequence: number; readonly output: boolean }[] = [];
  #rows: Float32Array[] = [];

  constructor(next: Next, sequences = 2) {
    this.#next = next;
    this.sequences = Array.from({ length: sequences }, () => []);
  }

  put(token: number, position: number, sequence: number, output: boolean): void {
    const before = this.#batch.filter((other) => other.sequence === sequence).length;
    assertEquals(position, this.tokensOf(sequence).length + before);
    this.#batch.push({ token, sequence, output });
  }

  beginRequest(): void {}

  decode(): DecodeOutcome {
    const batch = this.#batch;
    this.#batch = [];
    this.#rows = [];
    if (this.meanwhile()) {
      for (const { token, sequence } of batch.slice(0, batch.length / 2)) this.tokensOf(sequence).push(token);
      return "aborted";
    }
    this.batches.push(batch.length);
    for (const { token, sequence, output } of batch) {
      const tokens = this.tokensOf(sequence);
      tokens.push(token);
      if (!output) continue;
      const next = this.#next(tokens);
      this.#rows.push(typeof next === "number" ? onlyLikely(next) : next);
    }
    this.onDecode(batch.length);
    return "done";
  }

  logits(row: number): Float32Array {
    const logits = this.#rows[row];
    assert(logits !== undefined, `There is no row ${row}`);
    return logits;
  }

  truncate(sequence: number, length: number): boolean {
    assert(length <= this.tokensOf(sequence).length);
    this.tokensOf(sequence).length = length;
    return true;
  }

  copy(from: number, to: number, { length }: { readonly length: number }): void {
    this.sequences[to] = this.tokensOf(from).slice(0, length);
  }

  tokensOf(sequence: number): number[] {
    return this.sequences[sequence] as number[];
  }
}

function onlyLikely(token: number): Float32Array {
  const row = new Float32Array(VOCABULARY);
  row[token] = 1;
  return row;
}

/** The tokens of a text: its characters. */
export function tokensOf(text: string): Int32Array {
  return Int32Array.from(text, (char) => char.charCodeAt(0));
}

/** Step until there is nothing to do; returns all that happened. */
export function run(scheduler: Scheduler): EngineEvent[] {
  const events: EngineEvent[] = [];
  for (let steps = 0; scheduler.busy; steps++) {
    assert(steps < 1000);
    events.push(...scheduler.step());
  }
  return events;
}

/** The text of a request. */
export function textOf(events: readonly EngineEvent[], id = 1): string {
  return events.map((event) => event.id === id && "t" in event ? event.t : "").join("");
}

/** How a request ended. */
export function doneOf(events: readonly EngineEvent[], id = 1): Extract<EngineEvent, { done: unknown }> {
  const done = events.find((event) => event.id === id && "done" in event);
  assert(done !== undefined && "done" in done);
  return done;
}

const encoder = new TextEncoder();
/** Each token is a character. */
export const vocabulary = {
  vocabularySize: VOCABULARY,
  spacePrefix: false,
  tokenize: tokensOf,
  piece: (token: number): Uint8Array => token === END ? new Uint8Array(0) : encoder.encode(String.fromCharCode(token)),
  pieceText: (token: number): string => String.fromCharCode(token),
  endsAnswer: (token: number): boolean => token === END,
};
export const forced = new ForcedTokens(vocabulary);
