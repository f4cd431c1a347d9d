/**
 * Prefill: prompts that are not fully decoded, in FIFO order; how many of their tokens a step takes, and prefix
 * sharing. `scheduler.ts` decides when a step runs and what else is in it.
 */
import { BATCH_TOKENS, type Decoder } from "../native/context.ts";
import { AnswerTimes, inTiles, PromptPace, TILE } from "./prompt_pace.ts";
import type { Running } from "./running.ts";
import { commonPrefix, type Slot, type Slots } from "./slots.ts";
import type { StepBatch } from "./step_batch.ts";

/**
 * Time budget of a step while no stream waits for its next token. Usually that is a full batch, the cheapest per token;
 * a slow machine still checks for other requests now and then.
 */
const ALONE_MS = 5000;
/**
 * Time budget of a step while a stream waits. Streams are promised a token every 400 ms; the rest is margin and
 * delivery.
 */
export const BESIDE_MS = 345;
/** Minimum progress of a prompt per step, whatever it costs. */
const PROMPT_TOKENS_LEAST = 16;
/** A prompt waits for one that is being decoded if sharing saves at least this many tokens. */
const WORTH_WAITING_TOKENS = 32;

export interface PromptsOptions {
  readonly decoder: Decoder;
  readonly slots: Slots<Running>;
  readonly batch: StepBatch;
  /** Truncates a slot to this many tokens. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
  /** Called before the first step of a prompt whose progress is reported, and after each of its steps. */
  readonly onProgress: (running: Running, tokens: number) => void;
}

export class Prompts {
  readonly #options: PromptsOptions;
  readonly #starting: Slot<Running>[] = [];
  readonly #pace = new PromptPace();
  readonly #answerTimes = new AnswerTimes();
  /** The most tokens of one prompt in the current step. */
  #piece = 0;

  constructor(options: PromptsOptions) {
    this.#options = options;
  }

  get first(): Slot<Running> | undefined {
    return this.#starting[0];
  }

  has(slot: Slot<Running>): boolean {
    return this.#starting.includes(slot);
  }

  /** Appends the prompt of the slot's request. */
  add(slot: Slot<Running>): void {
    this.#starting.push(slot);
  }

  /** Removes the prompt of a request that leaves its slot. */
  drop(slot: Slot<Running>): void {
    const at = this.#starting.indexOf(slot);
    if (at >= 0) this.#starting.splice(at, 1);
  }

  /** Reports how far prompts are, where that is requested. */
  tellProgress(): void {
    for (const slot of this.#starting) {
      const running = slot.job as Running;
      if (running.told !== undefined && running.completion === 0 && slot.tokens.length > running.told) {
        this.#tell(slot, running);
      }
    }
  }

  #tell({ tokens }: Slot<Running>, running: Running): void {
    running.told = tokens.length;
    this.#options.onProgress(running, tokens.length);
  }

  dropDecoded(): void {
    for (let i = this.#starting.length - 1; i >= 0; i--) {
      const { tokens, job } = this.#starting[i] as Slot<Running>;
      if (tokens.length === (job as Running).prefix.length) this.#starting.splice(i, 1);
    }
  }

  /**
   * Records the duration of a step. With separate cells, the answers in it were computed in a pass of their own.
   *
   * @param prompts Prompt tokens in the step.
   * @param answers Tokens of answers in it.
   */
  learn(prompts: number, answers: number, ms: number): void {
    if (prompts === 0) this.#answerTimes.learn(answers, ms);
    else if (this.#options.decoder.apart) {
      this.#pace.learn(prompts, Math.max(ms - this.#answerTimes.of(answers), ms / 2), this.#piece || prompts);
    } else this.#pace.learn(prompts + answers, ms);
  }

  /**
   * Put prompt tokens into the step in FIFO order, as many as time allows. A long prompt without waiting streams gets a
   * whole batch; the end of a prompt shares its batch with the next one.
   *
   * @param others Answer tokens in the step.
   * @param options.isWaitedFor Whether a stream waits for the end of the step; by default if an answer is in it.
   * @param options.waitedMs How long a stream has waited already.
   * @returns The number of tokens put.
   */
  put(others: number, { isWaitedFor = others > 0, waitedMs = 0 } = {}): number {
    this.#piece = 0;
    let put = 0;
    let last = 0;
    let spent = 0;
    for (const slot of this.#starting) {
      const running = slot.job as Running;
      if (running.paused || !running.begun && !this.#begin(slot, running)) continue;
      if (running.job.progress && running.told === undefined) {
        // It is reported before the step, which may take long, only if the prompt is left out of this one.
        this.#tell(slot, running);
        continue;
      }
      const { prefix: prompt, chosen } = running;
      // After preemption the next token is already known.
      const isAsked = chosen.length === 0;
      const from = slot.tokens.length;
      const left = prompt.length - from;
      const isAlone = others === 0 && !isWaitedFor;
      const budget = this.#left(isAlone ? ALONE_MS : BESIDE_MS - waitedMs, { others, put, spent });
      if (put > 0 && budget < Math.min(left, PROMPT_TOKENS_LEAST)) break;
      const tokens = this.#options.decoder.apart ? inPasses(left, budget, last) : Math.min(left, budget);
      if (tokens === 0) break;
      const end = from + tokens;
      for (let at = from; at < end; at++) {
        this.#options.batch.put(slot, prompt[at] as number, at, isAsked && at === prompt.length - 1);
      }
      put += tokens;
      last = tokens;
      spent += this.#pace.msOf(tokens);
      this.#piece = Math.max(this.#piece, tokens);
    }
    return put;
  }

  /** Tokens that another prompt may have in the step. With separate cells its cost per token is that of its own size. */
  #left(
    ms: number,
    { others, put, spent }: { readonly others: number; readonly put: number; readonly spent: number },
  ): number {
    if (put === 0) return this.tokensWithin(ms, others);
    if (!this.#options.decoder.apart) return this.tokensWithin(ms, others) - put;
    const left = ms - this.#answerTimes.of(others) - spent;
    return Math.min(this.#pace.tokensWithin(left, 0), inTiles(BATCH_TOKENS - others) - put);
  }

  /** Expected time to decode this many tokens of one prompt; 0 if nothing is known. */
  msOf(tokens: number): number {
    return this.#pace.msOf(tokens);
  }

  /** Expected time of a step of one token for each of these answers. */
  answersMs(answers: number): number {
    return this.#answerTimes.of(answers);
  }

  /** Expected time to decode all prompts in one step; `Infinity` if they do not fit into it. */
  get restMs(): number {
    let tokens = 0;
    let ms = 0;
    for (const slot of this.#starting) {
      const { prefix, paused } = slot.job as Running;
      if (paused) continue;
      const left = prefix.length - slot.tokens.length;
      tokens += left;
      ms += this.#pace.msOf(left);
    }
    return tokens > BATCH_TOKENS ? Infinity : ms;
  }

  /** Prompt tokens that fit into this time and into the batch. */
  tokensWithin(ms: number, others: number): number {
    const room = BATCH_TOKENS - others;
    const { apart } = this.#options.decoder;
    const tokens = this.#pace.tokensWithin(apart ? ms - this.#answerTimes.of(others) : ms) - (apart ? 0 : others);
    // Prompts always make progress.
    return Math.min(Math.max(tokens, PROMPT_TOKENS_LEAST), apart ? inTiles(room) : room);
  }

  /**
   * Reuse the longest prefix that another slot holds. As late as this, since another request may have decoded it in the
   * meantime.
   *
   * @returns Whether the request may proceed; false while another is decoding a prefix worth sharing.
   */
  #begin(slot: Slot<Running>, running: Running): boolean {
    const { prefix: prompt } = running;
    const best = this.#options.slots.prefix(prompt);
    if (best !== undefined) {
      if (this.#willHoldMore(slot, prompt, best.length)) return false;
      const held = best.slot.tokens.length;
      if (best.length - slot.tokens.length >= this.#options.decoder.worthCopying(held)) {
        running.readyFrom = Infinity;
        this.#options.truncate(slot, 0);
        this.#options.decoder.copy(best.slot.sequence, slot.sequence, { length: best.length, held });
        for (let i = 0; i < best.length; i++) slot.tokens.push(prompt[i] as number);
      }
    }
    running.begun = true;
    if (running.rested) return true;
    running.cached = slot.tokens.length;
    running.prepared = Math.max(0, running.cached - running.readyFrom);
    return true;
  }

  /** Whether another request is decoding a longer common prefix that is worth waiting for. */
  #willHoldMore(slot: Slot<Running>, prompt: Int32Array, shared: number): boolean {
    return this.#options.slots.all.some((other) =>
      other !== slot && other.job !== undefined && other.job.begun && !other.job.paused &&
      other.tokens.length < other.job.prefix.length &&
      Math.min(commonPrefix(other.job.prefix, prompt), prompt.length - 1) - shared >= WORTH_WAITING_TOKENS
    );
  }
}

/**
 * Tokens of a prompt for a step, with separate cells. llama.cpp then computes equally many tokens of each prompt in the
 * step in one pass, and what is left of one in another. Less than a tile costs twice as much per token.
 *
 * @param left Tokens of the prompt that are not decoded.
 * @param budget The most tokens.
 * @param other Tokens of the prompt before it in the step; 0 if there is none.
 * @returns 0 if it is better decoded in a later step.
 */
function inPasses(left: number, budget: number, other: number): number {
  if (other === 0) {
    // A whole tile remains for the last step.
    const rest = left - budget;
    return rest > 0 && rest < TILE && budget >= 2 * TILE ? left - TILE : Math.min(left, budget);
  }
  const most = Math.min(left, budget);
  // Two parts of what is less than a tile would cost more than one.
  if (most < left && left < TILE) return 0;
  if (most < other && other >= TILE) {
    // The other prompt's tokens beyond these should still fill a tile.
    const beside = Math.min(most, other - TILE);
    return beside === left || beside >= TILE ? beside : 0;
  }
  if (left <= Math.min(budget, other + TILE / 2)) return left;
  return Math.min(most, other + Math.max(0, Math.floor((budget - other) / TILE)) * TILE);
}
