/**
 * Turns logits into answers: samples the next token, reports events and ends the answer. `scheduler.ts` decides what is
 * decoded when.
 */
import { GrammarError } from "../../grammar/rules.ts";
import type { TokenOdds } from "../answer/text_logprobs.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import type { Decoder } from "../native/context.ts";
import type { Job, Running } from "./running.ts";
import { NO_TOKEN, NOT_YET } from "./sampling/sampler.ts";
import type { Slot } from "./slots.ts";
import type { Rows } from "./step_batch.ts";
import { oddsOf } from "./sampling/token_odds.ts";
import type { Workbench } from "./work/workbench.ts";
import { nothing, type Work } from "../../work/work.ts";

/**
 * Where tokens take longer than this to draw, in milliseconds, other streams do not wait for it: they are drawn in the
 * time for work between steps.
 */
const LONG_DRAW_MS = 4;

export interface AnsweringOptions {
  readonly decoder: Pick<Decoder, "logits">;
  readonly bench: Workbench;
  /** All slots but this one. */
  readonly others: (slot: Slot<Running>) => readonly Slot<Running>[];
  readonly now: () => number;
  readonly tell: (events: readonly EngineEvent[]) => void;
  /** Truncates a slot to this many tokens. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
  /** Releases the slot of a finished request. */
  readonly release: (slot: Slot<Running>) => void;
  /** Called after a completed request has released its slot. */
  readonly ended: (slot: Slot<Running>, job: Job) => void;
}

export class Answering {
  readonly #options: AnsweringOptions;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /**
   * Sample from the first row, and from each following row while the draft matches the sampled tokens.
   *
   * @param steps Duration of the step in plain steps.
   */
  choose({ slot, guess, row }: Rows, steps: number): void {
    const running = slot.job as Running;
    const { tokens: guessed, source } = guess;
    const before = slot.tokens.length - guessed.length;
    running.drafted += guessed.length;
    let right = 0;
    do {
      this.#sample(slot, this.#options.decoder.logits(row + right));
      // Drafted tokens are already in the KV cache.
      while (right < guessed.length && running.chosen[0] === guessed[right]) {
        running.chosen.shift();
        running.accepted++;
        right++;
      }
    } while (slot.job === running && running.row === undefined && running.chosen.length === 0);
    if (guessed.length === 0) return;
    this.#options.truncate(slot, before + right);
    source?.learn(guessed.length, right, steps);
  }

  /** Samples the next token from its row, now or between steps. */
  #sample(slot: Slot<Running>, logits: Float32Array): void {
    const running = slot.job as Running;
    const keepsUp = ({ job }: Slot<Running>): boolean => job !== undefined && !job.paused && job.drawMs <= LONG_DRAW_MS;
    if (running.drawMs <= LONG_DRAW_MS || !this.#options.others(slot).some(keepsUp)) return this.#draw(slot, logits);
    running.row = logits.slice();
    this.#drawWhen(slot, nothing());
  }

  /** Samples the next token from its row and reports it. */
  #draw(slot: Slot<Running>, logits: Float32Array): void {
    const running = slot.job as Running;
    const started = this.#options.now();
    try {
      // An answer may begin with forced tokens.
      if (running.completion === 0 && this.#forward(slot, running)) return;
      const token = running.sampler.sample(logits, running.job.answer.constraint);
      if (token === NOT_YET) this.#find(slot, logits);
      else this.#take(slot, token, logits);
    } catch (error) {
      this.#refuse(slot, error);
    } finally {
      running.drew(this.#options.now() - started);
    }
  }

  /** Computes the token mask between steps; the answer is left out of steps until then. */
  #find(slot: Slot<Running>, logits: Float32Array): void {
    const running = slot.job as Running;
    const find = running.job.answer.constraint?.find;
    if (find === undefined) throw new Error("This constraint cannot compute its token mask");
    running.row ??= logits.slice();
    this.#drawWhen(slot, find());
  }

  /** Draws from the row that the answer keeps when this work is done. */
  #drawWhen(slot: Slot<Running>, work: Work<void>): void {
    const running = slot.job as Running;
    const row = running.row as Float32Array;
    this.#options.bench.add(running.job.id, work, {
      done: () => {
        running.row = undefined;
        this.#draw(slot, row);
      },
      failed: (error) => this.#refuse(slot, error),
    });
  }

  /** Fails a request whose grammar cannot be followed. */
  #refuse(slot: Slot<Running>, error: unknown): void {
    if (!(error instanceof GrammarError)) throw error;
    const { id } = (slot.job as Running).job;
    this.#options.tell([{ id, error: "invalid_request", message: error.message }]);
    this.#options.release(slot);
  }

  #take(slot: Slot<Running>, token: number, logits: Float32Array): void {
    const running = slot.job as Running;
    const { answer, logprobs, logprobsAfterSampling } = running.job;
    if (token === NO_TOKEN) throw new GrammarError("The grammar allows no further token and no end");
    running.firstAt ??= this.#options.now();
    if (answer.ends(token)) {
      this.#finish(slot, false);
      return;
    }
    const odds = logprobs === undefined
      ? undefined
      : logprobsAfterSampling
      ? running.sampler.odds(token, logprobs)
      : oddsOf(logits, token, logprobs);
    if (this.#accept(slot, token, odds)) this.#forward(slot, running);
  }

  /**
   * Append the tokens that the grammar forces.
   *
   * @returns Whether there were any.
   */
  #forward(slot: Slot<Running>, running: Running): boolean {
    const { answer } = running.job;
    const forced = answer.forced?.() ?? [];
    if (forced.length > 0) running.firstAt ??= this.#options.now();
    for (const token of forced) {
      // A marker that closes a call may also end the answer.
      if (answer.ends(token)) {
        this.#finish(slot, false);
        break;
      }
      running.forced++;
      if (!this.#accept(slot, token)) break;
    }
    return forced.length > 0;
  }

  /**
   * Append a token to the answer.
   *
   * @returns Whether the answer continues.
   */
  #accept(slot: Slot<Running>, token: number, odds?: TokenOdds): boolean {
    const running = slot.job as Running;
    running.push(token);
    const events: EngineEvent[] = [];
    const isOver = running.job.answer.accept(token, events, odds);
    this.#tell(running, events);
    if (!isOver && !running.isFull) return true;
    this.#finish(slot, !isOver);
    return false;
  }

  /** Report parts of the answer, after how far it is if that is requested. */
  #tell(running: Running, events: readonly EngineEvent[]): void {
    if (running.job.progress && events.length > 0) this.#options.tell([running.progress(this.#options.now())]);
    this.#options.tell(events);
  }

  #finish(slot: Slot<Running>, cut: boolean): void {
    const running = slot.job as Running;
    const { job } = running;
    const events: EngineEvent[] = [];
    const end = job.answer.finish(cut, events);
    this.#tell(running, events);
    if (end !== undefined) {
      this.#options.tell([{ id: job.id, ...end, ...running.counts(this.#options.now()), ...running.tokens }]);
    }
    this.#options.release(slot);
    if (end !== undefined) this.#options.ended(slot, job);
  }
}
