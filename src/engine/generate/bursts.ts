/**
 * Requests that arrive together. With separate KV cells the answers in a step cost a pass of their own, so the prompts
 * of a burst are decoded first: an idle engine waits a moment for the rest of it, and answers that have only begun wait
 * for the prompts that are left, as long as no stream waits longer than promised.
 */
import { BATCH_TOKENS, type Decoder } from "../native/context.ts";
import { BESIDE_MS, type Prompts } from "./prompts.ts";
import type { Running } from "./running.ts";
import type { Slot, Slots } from "./slots.ts";

/** Waits for another request, in milliseconds since the newest one: less is not worth a sleep. */
const SHORTEST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 4;
/** Longest wait, since the first request. */
const LONGEST_WAIT_MS = 20;
/** A pause adds at most this share of the time that the prompts take. */
const PAUSE_SHARE = 1 / 16;

export interface BurstsOptions {
  readonly decoder: Pick<Decoder, "apart">;
  readonly slots: Pick<Slots<Running>, "all" | "prefix">;
  readonly prompts: Prompts;
  /** Maximum number of concurrent requests. */
  readonly parallel: number;
  readonly now: () => number;
}

export class Bursts {
  readonly #options: BurstsOptions;
  #firstAt = 0;
  #newestAt = 0;
  /** Prompt tokens of the burst that are not cached, and the expected time to decode them. */
  #tokens = 0;
  #promptsMs = 0;
  /** Time since the answers that wait were last in a step. */
  #heldMs = 0;

  constructor(options: BurstsOptions) {
    this.#options = options;
  }

  /**
   * A request arrives.
   *
   * @param waiting Number of requests that wait for a slot already.
   */
  arrives(prompt: Int32Array, waiting: number): void {
    const { now, prompts, slots } = this.#options;
    this.#newestAt = now();
    if (waiting === 0) {
      this.#firstAt = this.#newestAt;
      this.#tokens = 0;
      this.#promptsMs = 0;
    }
    const tokens = prompt.length - (slots.prefix(prompt)?.length ?? 0);
    this.#tokens += tokens;
    this.#promptsMs += prompts.msOf(tokens);
  }

  /** Milliseconds until waiting requests start, if no other arrives. */
  startsIn(waiting: number): number {
    const { decoder, now, parallel, slots } = this.#options;
    if (!decoder.apart || waiting >= parallel || slots.all.some(({ job }) => job !== undefined)) return 0;
    const pause = Math.min(LONGEST_PAUSE_MS, this.#promptsMs * PAUSE_SHARE);
    if (pause < SHORTEST_PAUSE_MS || this.#tokens >= BATCH_TOKENS) return 0;
    return Math.max(0, Math.min(this.#newestAt + pause, this.#firstAt + LONGEST_WAIT_MS) - now());
  }

  /** Whether these answers are left out of the next step: all are at their first token, and the prompts are soon done. */
  holds(answers: readonly Slot<Running>[]): boolean {
    const { decoder, prompts } = this.#options;
    if (!decoder.apart || answers.length === 0 || prompts.first === undefined) return false;
    return answers.every(({ job }) => job?.completion === 1) &&
      this.#heldMs + prompts.restMs + prompts.answersMs(answers.length) <= BESIDE_MS;
  }

  /** A step took so long. */
  stepped(ms: number, { held }: { readonly held: boolean }): void {
    this.#heldMs = held ? this.#heldMs + ms : 0;
  }
}
