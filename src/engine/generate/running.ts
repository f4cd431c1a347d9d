/** A request that has become tokens, and what is known of it while it runs. */
import type { Sampling } from "../../inference/request.ts";
import type { Answer } from "../answer/answer.ts";
import { NO_TOKEN, Sampler } from "./sampler.ts";

/** A request that has become tokens. */
export interface Job {
  readonly id: number;
  readonly prompt: Int32Array;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** How many of the likeliest tokens are told with each token of text; absent: nothing is. */
  readonly logprobs?: number;
  readonly answer: Answer;
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
  /** Has its prefix, and decodes its prompt from there. */
  begun = false;
  cached = 0;
  completion = 0;
  paused: boolean;
  /** To be decoded next; none before the prompt is, and while it has to be found out what may come. */
  next = NO_TOKEN;
  /** The row that the next token is chosen from then. */
  row: Float32Array | undefined;
  /** When the first token was chosen. */
  firstAt: number | undefined;

  constructor(readonly job: Job, contextTokens: number, paused: boolean, readonly times: Times) {
    this.sampler = new Sampler(job.sampling, job.prompt);
    this.limit = cellsOf(job, contextTokens);
    this.paused = paused;
  }
}

/** What a request may come to, prompt and answer. */
export function cellsOf(job: Job, contextTokens: number): number {
  return Math.min(job.prompt.length + job.maxTokens, contextTokens);
}
