/** A request that has become tokens, and what is known of it while it runs. */
import type { Sampling } from "../../inference/request.ts";
import type { Answer, Said } from "../answer/answer.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import type { Work } from "../../work/work.ts";
import { PromptLookup } from "./ahead/prompt_lookup.ts";
import { Speculation } from "./ahead/speculation.ts";
import { Sampler } from "./sampling/sampler.ts";

/** A request that has become tokens. */
export interface Job {
  readonly id: number;
  readonly prompt: Int32Array;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** How many of the likeliest tokens are told with each token of text; absent: nothing is. */
  readonly logprobs?: number;
  readonly answer: Answer;
  /** Finds out what the next turn of the conversation begins with; absent: nobody wants to know. */
  readonly nextTurn?: (said: Said) => Work<Int32Array>;
}

/** When a request came, and when it got its slot. */
interface Times {
  readonly submittedAt: number;
  readonly startedAt: number;
}

/** A request that has a slot. */
export class Running {
  readonly sampler: Sampler;
  /** Tokens of prompt and answer it may come to. */
  readonly limit: number;
  /** What has to be in memory before the answer goes on: the prompt, and after a rest what was answered before it. */
  prefix: Int32Array;
  /** Has its prefix, and decodes its prompt from there. */
  begun = false;
  /** Has given up its slot at least once. */
  rested = false;
  cached = 0;
  /** From where on the slot held what was prepared for a next turn. */
  readyFrom = Infinity;
  /** Tokens of the prompt that were. */
  prepared = 0;
  completion = 0;
  paused: boolean;
  /**
   * Tokens of the answer that are not decoded yet, in order; none before the prompt is, and while it has to be found out
   * what may come.
   */
  readonly chosen: number[] = [];
  /** Tokens that a grammar forced, among those of the answer. */
  forced = 0;
  /** Guesses what comes next, and how much of it. */
  readonly lookup: PromptLookup;
  readonly speculation = new Speculation();
  /** Tokens that were guessed, and how many of them came true. */
  drafted = 0;
  accepted = 0;
  /** The row that the next token is chosen from then. */
  row: Float32Array | undefined;
  /** When the first token was chosen. */
  firstAt: number | undefined;

  constructor(readonly job: Job, contextTokens: number, paused: boolean, readonly times: Times) {
    this.prefix = job.prompt;
    this.sampler = new Sampler(job.sampling, job.prompt);
    this.lookup = new PromptLookup(job.prompt);
    this.limit = cellsOf(job, contextTokens);
    this.paused = paused;
  }

  /** A token is the next of the answer, to be decoded. */
  push(token: number): void {
    this.completion++;
    this.chosen.push(token);
    this.sampler.accept(token);
    this.lookup.push(token);
  }

  /** Whether its answer has come to what it may. */
  get isFull(): boolean {
    return this.job.prompt.length + this.completion >= this.limit;
  }

  /** What may come next, as far as there is room for it. */
  guess(most: number): readonly number[] {
    const left = this.limit - this.job.prompt.length - this.completion - 1;
    return this.lookup.guess(Math.min(most, this.speculation.most(), left));
  }

  /** What is told of it when it has ended. */
  counts(now: number): Counts {
    const {
      completion,
      cached,
      forced,
      prepared,
      drafted,
      accepted,
      times: { submittedAt, startedAt },
      firstAt = now,
    } = this;
    return {
      prompt: this.job.prompt.length,
      completion,
      cached,
      ...(forced > 0 ? { forced } : {}),
      ...(prepared > 0 ? { prepared } : {}),
      ...(drafted > 0 ? { drafted, accepted } : {}),
      ms: [startedAt - submittedAt, firstAt - startedAt, now - firstAt],
    };
  }
}

type Counts = Omit<Extract<EngineEvent, { done: unknown }>, "id" | "done" | "unsatisfied">;

/** What a request may come to, prompt and answer. */
export function cellsOf(job: Job, contextTokens: number): number {
  return Math.min(job.prompt.length + job.maxTokens, contextTokens);
}
