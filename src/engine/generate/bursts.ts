/**
 * Requests that arrive together. With separate KV cells the answers in a step cost a pass of their own, so the prompts
 * of a burst are decoded first: an idle engine waits a moment for the rest of it, and answers that have only begun wait
 * for the prompts that are left, as long as no stream waits longer than promised.
 */
import { BATCH_TOKENS, type Decoder } from "../native/context.ts";
import { BESIDE_MS, type Prompts } from "./prompts.ts";
import type { Running } from "./running.ts";
import type { Slot, Slots } from "./slots.ts";

/** Requests that arrive within this time of the first belong together, in milliseconds. */
const BURST_MS = 20;
/** Longest wait for another request since the newest one: while a burst is likely, and otherwise. */
const PAUSE_MS = 8;
const SHORT_PAUSE_MS = 2;

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
  #firstAt = -Infinity;
  #newestAt = -Infinity;
  /** Requests of this burst, and of the one before. */
  #count = 0;
  #before = 0;
  /** Prompt tokens of the burst that are not cached, and the expected time to decode them. */
  #tokens = 0;
  #promptsMs = 0;
  /** Time since the answers that wait were last in a step. */
  #waitedMs = 0;

  constructor(options: BurstsOptions) {
    this.#options = options;
  }

  /** A request arrives. */
  arrives(prompt: Int32Array): void {
    const { now, prompts, slots } = this.#options;
    this.#newestAt = now();
    if (this.#newestAt - this.#firstAt > BURST_MS) {
      this.#firstAt = this.#newestAt;
      this.#before = this.#count;
      this.#count = 0;
      this.#tokens = 0;
      this.#promptsMs = 0;
    }
    this.#count++;
    const tokens = prompt.length - (slots.prefix(prompt)?.length ?? 0);
    this.#tokens += tokens;
    this.#promptsMs += prompts.msOf(tokens);
  }

  /**
   * Milliseconds until waiting requests start, if no other arrives. Others are waited for where that takes little
   * beside the prompts: longer while fewer have come than last time, or than make a burst.
   *
   * @param waiting Number of waiting requests.
   */
  startsIn(waiting: number): number {
    const { decoder, now, parallel, slots } = this.#options;
    if (!decoder.apart || waiting >= parallel) return 0;
    if (this.#promptsMs < BURST_MS || this.#tokens >= BATCH_TOKENS) return 0;
    if (slots.all.some(({ job }) => job !== undefined)) return 0;
    const isLikely = this.#before > 1 ? waiting < this.#before : this.#count > 1;
    const pause = isLikely ? PAUSE_MS : SHORT_PAUSE_MS;
    return Math.max(0, Math.min(this.#newestAt + pause, this.#firstAt + BURST_MS) - now());
  }

  /** Whether these answers are left out of the next step: all are at their first token, and the prompts are soon done. */
  holds(answers: readonly Slot<Running>[]): boolean {
    const { decoder, prompts } = this.#options;
    if (!decoder.apart || answers.length === 0 || prompts.first === undefined) return false;
    return answers.every(({ job }) => job?.completion === 1) &&
      this.#waitedMs + prompts.restMs + prompts.answersMs(answers.length) <= BESIDE_MS;
  }

  /** How long answers that are left out of steps have waited. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** A step took so long. */
  stepped(ms: number, { held }: { readonly held: boolean }): void {
    this.#waitedMs = held ? this.#waitedMs + ms : 0;
  }
}
