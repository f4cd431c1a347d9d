/**
 * From rows of logits to answers: which token comes next, what that means, and whether the answer is over. What is decoded
 * when is `scheduler.ts`'s.
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

/** What answering needs of whoever schedules. */
export interface AnsweringOptions {
  readonly decoder: Pick<Decoder, "logits">;
  readonly bench: Workbench;
  readonly now: () => number;
  /** Something happened. */
  readonly tell: (events: readonly EngineEvent[]) => void;
  /** Keep only so many tokens of a slot. */
  readonly truncate: (slot: Slot<Running>, length: number) => void;
  /** A request is over, and leaves its slot. */
  readonly release: (slot: Slot<Running>) => void;
  /** It came to its end; said after it has left its slot. */
  readonly ended: (slot: Slot<Running>, job: Job) => void;
}

/** Goes on with the answers of an engine. */
export class Answering {
  readonly #options: AnsweringOptions;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /**
   * Choose what comes next from a row; and from those behind it, as long as what was guessed is what was chosen.
   *
   * @param rows Of one slot, just decoded.
   * @param steps How many steps without guesses the step took the time of.
   */
  choose({ slot, guess, row }: Rows, steps: number): void {
    const running = slot.job as Running;
    const before = slot.tokens.length - guess.length;
    running.drafted += guess.length;
    let right = 0;
    do {
      this.#sample(slot, this.#options.decoder.logits(row + right));
      // What was guessed is in memory.
      while (right < guess.length && running.chosen[0] === guess[right]) {
        running.chosen.shift();
        running.accepted++;
        right++;
      }
    } while (slot.job === running && running.row === undefined && running.chosen.length === 0);
    if (guess.length === 0) return;
    this.#options.truncate(slot, before + right);
    running.speculation.learn(guess.length, right, steps);
  }

  /** Choose the next token of a request from its row, and tell what that means. */
  #sample(slot: Slot<Running>, logits: Float32Array): void {
    const running = slot.job as Running;
    try {
      // An answer may begin with what nobody has to be asked for.
      if (running.completion === 0 && this.#forward(slot, running)) return;
      const token = running.sampler.sample(logits, running.job.answer.constraint);
      if (token === NOT_YET) this.#find(slot, logits);
      else this.#take(slot, token, logits);
    } catch (error) {
      this.#refuse(slot, error);
    }
  }

  /** Find out what may come next in an answer, between steps; until then it takes no part in them. */
  #find(slot: Slot<Running>, logits: Float32Array): void {
    const running = slot.job as Running;
    const { id, answer } = running.job;
    const find = answer.constraint?.find;
    if (find === undefined) throw new Error("It cannot be found out what may come next");
    const row = running.row = running.row ?? logits.slice();
    this.#options.bench.add(id, find(), {
      done: () => {
        running.row = undefined;
        this.#sample(slot, row);
      },
      failed: (error) => this.#refuse(slot, error),
    });
  }

  /** What was asked for cannot be followed. */
  #refuse(slot: Slot<Running>, error: unknown): void {
    if (!(error instanceof GrammarError)) throw error;
    const { id } = (slot.job as Running).job;
    this.#options.tell([{ id, error: "invalid_request", message: error.message }]);
    this.#options.release(slot);
  }

  #take(slot: Slot<Running>, token: number, logits: Float32Array): void {
    const running = slot.job as Running;
    const { answer, logprobs } = running.job;
    if (token === NO_TOKEN) throw new GrammarError("The grammar allows nothing more, and no end");
    running.firstAt ??= this.#options.now();
    if (answer.ends(token)) {
      this.#finish(slot, false);
      return;
    }
    const odds = logprobs === undefined ? undefined : oddsOf(logits, token, logprobs);
    if (this.#accept(slot, token, odds)) this.#forward(slot, running);
  }

  /**
   * Go on with what a grammar leaves no choice about.
   *
   * @returns Whether there was any.
   */
  #forward(slot: Slot<Running>, running: Running): boolean {
    const { answer } = running.job;
    const forced = answer.forced?.() ?? [];
    if (forced.length > 0) running.firstAt ??= this.#options.now();
    for (const token of forced) {
      // A marker that closes a call may be what ends an answer.
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
   * A token is the next of an answer.
   *
   * @returns Whether the answer goes on.
   */
  #accept(slot: Slot<Running>, token: number, odds?: TokenOdds): boolean {
    const running = slot.job as Running;
    running.push(token);
    const events: EngineEvent[] = [];
    const isOver = running.job.answer.accept(token, events, odds);
    this.#options.tell(events);
    if (!isOver && !running.isFull) return true;
    this.#finish(slot, !isOver);
    return false;
  }

  #finish(slot: Slot<Running>, cut: boolean): void {
    const running = slot.job as Running;
    const { job } = running;
    const events: EngineEvent[] = [];
    const end = job.answer.finish(cut, events);
    if (end !== undefined) events.push({ id: job.id, ...end, ...running.counts(this.#options.now()) });
    this.#options.tell(events);
    this.#options.release(slot);
    if (end !== undefined) this.#options.ended(slot, job);
  }
}
