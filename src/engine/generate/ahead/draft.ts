/**
 * A draft model: a smaller model with the same vocabulary that proposes tokens for the target model to verify. Its KV
 * cache is compared with each answer's tokens before use, so rejected drafts and moved or cleared slots need no
 * notification. Sees the native library only as a `Decoder`.
 */
import type { Decoder } from "../../native/context.ts";
import { PromptPace } from "../prompt_pace.ts";
import { commonPrefix } from "../slots.ts";
import { MOST_STREAMS } from "./speculation.ts";
import { errorText } from "../../../log/error_text.ts";

/** Time limit of a prefill chunk of the draft model: every stream waits for it. */
const CATCH_UP_MS = 100;
/** Fewer tokens than this are decoded together with the first guess. */
const NEARLY_READ = 16;
/** Drafting continues while the last token has at least this probability. */
const SURE = 0.5;
/** Logits further below the best one are negligible in the softmax. */
const NEGLIGIBLE = 10;

export interface DraftOptions {
  /** Has a sequence for each of {@linkcode MOST_STREAMS} answers. */
  readonly decoder: Decoder;
  /** Its context size in tokens. */
  readonly contextTokens: number;
  /** Tokens common to both models; the vocabularies may be padded differently. */
  readonly vocabulary: number;
  /** Called once if it fails; no drafts after that. */
  readonly onFailure?: (reason: string) => void;
  readonly now?: () => number;
}

/** An answer to draft for. */
export interface Asked {
  /** Identity of its slot. */
  readonly slot: object;
  /** Previous tokens. */
  readonly tokens: readonly number[];
  /** Already chosen next tokens; not empty. */
  readonly chosen: readonly number[];
  /** Maximum draft length. */
  readonly most: number;
}

export interface Proposal {
  /** A draft for each answer, in order; empty while the draft model is still prefilling. */
  readonly guesses: readonly (readonly number[])[];
  /** Duration of drafting, without prefill. */
  readonly ms: number;
}

interface Sequence {
  readonly index: number;
  readonly tokens: number[];
  slot: object | undefined;
}

/** An answer and its assigned sequence. */
interface Reading {
  readonly sequence: Sequence;
  readonly wanted: readonly number[];
  readonly most: number;
  readonly guess: number[];
}

export class Draft {
  readonly #decoder: Decoder;
  readonly #contextTokens: number;
  readonly #vocabulary: number;
  readonly #onFailure: (reason: string) => void;
  readonly #now: () => number;
  readonly #sequences: readonly Sequence[];
  readonly #pace = new PromptPace();
  #isBroken = false;

  constructor({ decoder, contextTokens, vocabulary, onFailure = () => {}, now }: DraftOptions) {
    this.#decoder = decoder;
    this.#contextTokens = contextTokens;
    this.#vocabulary = vocabulary;
    this.#onFailure = onFailure;
    this.#now = now ?? ((): number => performance.now());
    this.#sequences = Array.from({ length: MOST_STREAMS }, (_, index) => ({ index, tokens: [], slot: undefined }));
  }

  /**
   * Draft the next tokens. If much must be prefilled first, only a chunk of that is done.
   *
   * @param asked At most {@linkcode MOST_STREAMS}.
   */
  propose(asked: readonly Asked[]): Proposal {
    const readings = this.#isBroken ? [] : this.#readings(asked);
    let ms = 0;
    try {
      if (this.#catchUp(readings)) {
        const started = this.#now();
        this.#guess(readings.filter((reading) => reading !== undefined));
        ms = this.#now() - started;
      }
    } catch (error) {
      this.#isBroken = true;
      this.#onFailure(errorText(error));
      for (const reading of readings) reading?.guess.splice(0);
    }
    return { guesses: asked.map((_, at) => readings[at]?.guess ?? []), ms };
  }

  /** Tokens to prefill for each; `undefined`: too long, or with tokens unknown to the draft model. */
  #readings(asked: readonly Asked[]): (Reading | undefined)[] {
    const readings: (Reading | undefined)[] = [];
    const taken = new Set<Sequence>();
    const isOther = (slot: object): boolean => asked.some((one) => one.slot === slot);
    for (const { slot, tokens, chosen, most } of asked) {
      const wanted = [...tokens, ...chosen];
      const own = this.#sequences.find((sequence) => sequence.slot === slot);
      const sequence = own ?? this.#toTake(
        this.#sequences.filter((one) => !taken.has(one) && (one.slot === undefined || !isOther(one.slot))),
        wanted,
      );
      taken.add(sequence);
      if (own === undefined) this.#decoder.beginRequest();
      sequence.slot = slot;
      // At least one token is decoded, for its logits.
      const shared = Math.min(commonPrefix(sequence.tokens, wanted), wanted.length - 1);
      this.#truncate(sequence, shared);
      const room = Math.min(most, this.#contextTokens - wanted.length);
      const knows = wanted.slice(sequence.tokens.length).every((token) => token < this.#vocabulary);
      readings.push(room > 0 && knows ? { sequence, wanted, most: room, guess: [] } : undefined);
    }
    return readings;
  }

  /** The unassigned sequence with the longest common prefix. */
  #toTake(free: readonly Sequence[], wanted: readonly number[]): Sequence {
    const [first, ...others] = free.map((sequence) => ({ sequence, shared: commonPrefix(sequence.tokens, wanted) }));
    if (first === undefined) throw new RangeError("More answers ask the draft than it has sequences");
    return others.reduce((best, one) => one.shared > best.shared ? one : best, first).sequence;
  }

  #truncate(sequence: Sequence, length: number): void {
    if (sequence.tokens.length === length) return;
    sequence.tokens.length = this.#decoder.truncate(sequence.index, length) ? length : 0;
  }

  /**
   * Prefill a chunk of the previous tokens.
   *
   * @returns Whether prefill is complete.
   */
  #catchUp(readings: readonly (Reading | undefined)[]): boolean {
    let room = this.#pace.tokensWithin(CATCH_UP_MS);
    let put = 0;
    for (const reading of readings) {
      if (reading === undefined) continue;
      const { sequence, wanted } = reading;
      const missing = wanted.length - 1 - sequence.tokens.length;
      if (missing < NEARLY_READ) continue;
      const count = Math.min(missing, room);
      for (let i = 0; i < count; i++) this.#put(sequence, wanted[sequence.tokens.length] as number, false);
      put += count;
      room -= count;
    }
    if (put === 0) return true;
    const started = this.#now();
    this.#decode();
    this.#pace.learn(put, this.#now() - started);
    return false;
  }

  /** A token of each at a time, as long as the draft is sure. */
  #guess(readings: readonly Reading[]): void {
    let going = readings;
    for (const { sequence, wanted } of going) {
      for (let at = sequence.tokens.length; at < wanted.length; at++) {
        this.#put(sequence, wanted[at] as number, at === wanted.length - 1);
      }
    }
    while (going.length > 0 && this.#decode()) {
      going = going.filter(({ guess, most }, row) => {
        const { token, odds } = likeliest(this.#decoder.logits(row).subarray(0, this.#vocabulary));
        guess.push(token);
        return guess.length < most && odds >= SURE;
      });
      for (const { sequence, guess } of going) this.#put(sequence, guess.at(-1) as number, true);
    }
  }

  #put(sequence: Sequence, token: number, output: boolean): void {
    this.#decoder.put(token, sequence.tokens.length, sequence.index, output);
    sequence.tokens.push(token);
  }

  /**
   * Decode the batch.
   *
   * @returns Whether that was done; otherwise the draft's memory is empty.
   */
  #decode(): boolean {
    if (this.#decoder.decode() === "done") return true;
    for (const sequence of this.#sequences) this.#truncate(sequence, 0);
    return false;
  }
}

/** The best token of a row, and about how probable it is. */
function likeliest(logits: Float32Array): { readonly token: number; readonly odds: number } {
  let token = 0;
  let best = -Infinity;
  for (let at = 0; at < logits.length; at++) {
    const logit = logits[at] as number;
    if (logit > best) {
      best = logit;
      token = at;
    }
  }
  let sum = 0;
  const least = best - NEGLIGIBLE;
  for (let at = 0; at < logits.length; at++) {
    const logit = logits[at] as number;
    if (logit > least) sum += Math.exp(logit - best);
  }
  return { token, odds: 1 / sum };
}
