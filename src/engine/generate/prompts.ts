/**
 * The prompts that are not decoded yet, first come first: how much of them a step takes, and what they share with others.
 * When a step is made, and what else is in it, is `scheduler.ts`'s.
 */
import { BATCH_TOKENS, type Decoder } from "../native/context.ts";
import { inTiles, PromptPace } from "./prompt_pace.ts";
import type { Running } from "./running.ts";
import { commonPrefix, type Slot, type Slots } from "./slots.ts";
import type { StepBatch } from "./step_batch.ts";

/**
 * How long a step may take while no stream waits for its next token. On most machines that is a full batch, which computes a
 * token fastest; a slow one still looks up for other requests now and then.
 */
const ALONE_MS = 5000;
/**
 * How long a step may take while one does. They are promised a token every 400 ms; the rest is for what is not
 * foreseen, and for handing the token on.
 */
export const BESIDE_MS = 320;
/** A prompt advances by at least this many tokens a step, however long that takes. */
const PROMPT_TOKENS_LEAST = 16;
/** A prompt waits for another that is being decoded if that saves it this many tokens. */
const WORTH_WAITING_TOKENS = 32;

/** What this needs of whoever schedules. */
export interface PromptsOptions {
  readonly decoder: Decoder;
  readonly slots: Slots<Running>;
  readonly batch: StepBatch;
  /** Keep only so many tokens of a slot. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
}

/** The prompts of an engine. */
export class Prompts {
  readonly #decoder: Decoder;
  readonly #slots: Slots<Running>;
  readonly #batch: StepBatch;
  readonly #truncate: PromptsOptions["truncate"];
  readonly #starting: Slot<Running>[] = [];
  readonly #pace = new PromptPace();

  constructor({ decoder, slots, batch, truncate }: PromptsOptions) {
    this.#decoder = decoder;
    this.#slots = slots;
    this.#batch = batch;
    this.#truncate = truncate;
  }

  /** The one that came first. */
  get first(): Slot<Running> | undefined {
    return this.#starting[0];
  }

  has(slot: Slot<Running>): boolean {
    return this.#starting.includes(slot);
  }

  /** The prompt of the slot's request is the last in the order. */
  add(slot: Slot<Running>): void {
    this.#starting.push(slot);
  }

  /** Nobody waits for it any more. */
  drop(slot: Slot<Running>): void {
    const at = this.#starting.indexOf(slot);
    if (at >= 0) this.#starting.splice(at, 1);
  }

  /** Take those off the list that are decoded. */
  dropDecoded(): void {
    for (let i = this.#starting.length - 1; i >= 0; i--) {
      const { tokens, job } = this.#starting[i] as Slot<Running>;
      if (tokens.length === (job as Running).prefix.length) this.#starting.splice(i, 1);
    }
  }

  /** A step with so many tokens of prompts took so long. */
  learn(tokens: number, ms: number): void {
    this.#pace.learn(tokens, ms);
  }

  /**
   * Put prompts that are not decoded yet, first come first, as much as time allows. A long prompt nobody else waits beside
   * gets a whole batch; what the end of one leaves of a batch that computes well is the next one's.
   *
   * @param others Tokens of answers in the step.
   * @param isWaitedFor Whether a stream waits for the end of the step.
   * @returns How many tokens were put.
   */
  put(others: number, isWaitedFor = others > 0): number {
    if (this.#starting.length === 0) return 0;
    const shared = this.tokensWithin(BESIDE_MS, others);
    let put = 0;
    for (const slot of this.#starting) {
      const running = slot.job as Running;
      if (running.paused || !running.begun && !this.#begin(slot, running)) continue;
      const { prefix: prompt, chosen } = running;
      // After a rest the next token is known.
      const isAsked = chosen.length === 0;
      const from = slot.tokens.length;
      const left = prompt.length - from;
      const isAlone = put === 0 && others === 0 && !isWaitedFor;
      const budget = isAlone ? this.tokensWithin(ALONE_MS, others) : shared - put;
      if (put > 0 && budget < Math.min(left, PROMPT_TOKENS_LEAST)) break;
      const end = from + Math.min(left, budget);
      for (let at = from; at < end; at++) {
        this.#batch.put(slot, prompt[at] as number, at, isAsked && at === prompt.length - 1);
      }
      put += end - from;
    }
    return put;
  }

  /** How many more prompt tokens fit into a step of this many milliseconds, and into the batch. */
  tokensWithin(ms: number, others: number): number {
    const room = BATCH_TOKENS - others;
    const { apart } = this.#decoder;
    const tokens = this.#pace.tokensWithin(ms) - (apart ? 0 : others);
    // Prompts go on however many others there are.
    return Math.min(Math.max(tokens, PROMPT_TOKENS_LEAST), apart ? inTiles(room) : room);
  }

  /**
   * Share what another slot holds of a prompt. At this moment and not before: by now another request may have decoded
   * the same beginning.
   *
   * @returns Whether the request may go on; not while another is decoding what it could share.
   */
  #begin(slot: Slot<Running>, running: Running): boolean {
    const { prefix: prompt } = running;
    const best = this.#slots.prefix(prompt);
    if (best !== undefined) {
      if (this.#willHoldMore(slot, prompt, best.length)) return false;
      if (best.length - slot.tokens.length >= this.#decoder.worthCopying) {
        running.readyFrom = Infinity;
        this.#truncate(slot, 0);
        this.#decoder.copy(best.slot.sequence, slot.sequence, best.length);
        for (let i = 0; i < best.length; i++) slot.tokens.push(prompt[i] as number);
      }
    }
    running.begun = true;
    if (running.rested) return true;
    running.cached = slot.tokens.length;
    running.prepared = Math.max(0, running.cached - running.readyFrom);
    return true;
  }

  /** Whether another request is decoding so much of the same prompt that it is worth waiting for. */
  #willHoldMore(slot: Slot<Running>, prompt: Int32Array, shared: number): boolean {
    return this.#slots.all.some((other) =>
      other !== slot && other.job !== undefined && other.job.begun && !other.job.paused &&
      other.tokens.length < other.job.prefix.length &&
      Math.min(commonPrefix(other.job.prefix, prompt), prompt.length - 1) - shared >= WORTH_WAITING_TOKENS
    );
  }
}
