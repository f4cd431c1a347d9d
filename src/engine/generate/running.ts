/** Jobs, and the state of a running request. */
import type { Sampling } from "../../inference/request.ts";
import type { Answer, Said } from "../answer/answer.ts";
import type { Counts, EngineEvent } from "../ipc/messages.ts";
import type { Work } from "../../work/work.ts";
import { PromptLookup } from "./ahead/prompt_lookup.ts";
import { Speculation } from "./ahead/speculation.ts";
import type { InfillVocabulary } from "./sampling/infill.ts";
import { Sampler } from "./sampling/sampler.ts";

export interface Job {
  readonly id: number;
  readonly prompt: Int32Array;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** Number of top tokens reported with each token; absent: no logprobs. */
  readonly logprobs?: number;
  /** These are the probabilities that sampling drew from. */
  readonly logprobsAfterSampling?: true;
  /** Report progress. */
  readonly progress?: true;
  /** Report all tokens at the end. */
  readonly returnTokens?: true;
  /** Sample as for filling in text. */
  readonly infill?: InfillVocabulary;
  readonly answer: Answer;
  /** Computes the prefix of the next turn; absent if it is not to be prepared. */
  readonly nextTurn?: (said: Said) => Work<Int32Array>;
}

/** When a request arrived, and when it got its slot. */
interface Times {
  readonly submittedAt: number;
  readonly startedAt: number;
}

export class Running {
  readonly sampler: Sampler;
  /** Maximum tokens of prompt and answer. */
  readonly limit: number;
  /** Tokens to decode before the answer can advance: the prompt and, after preemption, the answer so far. */
  prefix: Int32Array;
  /** Whether it has reused its prefix and started to decode. */
  begun = false;
  /** Whether it was ever preempted. */
  rested = false;
  cached = 0;
  /** Position from which the slot's tokens were prefilled for the next turn. */
  readyFrom = Infinity;
  /** Prompt tokens that were prefilled in idle time. */
  prepared = 0;
  completion = 0;
  paused: boolean;
  /** Chosen tokens that are not decoded yet, in order; empty during prefill and while a token mask is computed. */
  readonly chosen: number[] = [];
  forced = 0;
  /** Prompt lookup: drafts from earlier text. */
  readonly lookup: PromptLookup;
  readonly speculation = new Speculation();
  /** Tokens drafted and accepted. */
  drafted = 0;
  accepted = 0;
  /** Logits row to sample from once the token mask is known, or there is time. */
  row: Float32Array | undefined;
  /** How long it takes to draw a token, in milliseconds: the shorter of the last two times, since one may be disturbed. */
  drawMs = 0;
  #lastDrawMs = 0;
  firstAt: number | undefined;
  /** Tokens of the prompt that were last reported as processed; absent: none were. */
  told: number | undefined;
  /** Tokens of the answer, if they are to be reported. */
  readonly #written: number[] | undefined;

  constructor(readonly job: Job, contextTokens: number, paused: boolean, readonly times: Times) {
    this.prefix = job.prompt;
    this.sampler = new Sampler(job.sampling, job.prompt, job.infill);
    this.lookup = new PromptLookup(job.prompt);
    this.limit = cellsOf(job, contextTokens);
    if (job.returnTokens) this.#written = [];
    this.paused = paused;
  }

  /** A token was drawn in this time. */
  drew(ms: number): void {
    this.drawMs = Math.min(ms, this.#lastDrawMs);
    this.#lastDrawMs = ms;
  }

  /** Appends a token to the answer, to be decoded. */
  push(token: number): void {
    this.completion++;
    this.chosen.push(token);
    this.sampler.accept(token);
    this.lookup.push(token);
    this.#written?.push(token);
  }

  /** All tokens, if they are to be reported. */
  get tokens(): { readonly tokens?: readonly number[] } {
    return this.#written === undefined ? {} : { tokens: [...this.job.prompt, ...this.#written] };
  }

  /** Whether the answer has reached its token limit. */
  get isFull(): boolean {
    return this.job.prompt.length + this.completion >= this.limit;
  }

  /** Tokens that may still come behind the next one. */
  get room(): number {
    return this.limit - this.job.prompt.length - this.completion - 1;
  }

  /** @param processed Decoded and cached tokens of the prompt; default: all. */
  progress(now: number, processed = this.job.prompt.length): EngineEvent {
    return { id: this.job.id, processed, ...this.counts(now) };
  }

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

/** Maximum KV cells of a request, prompt and answer. */
export function cellsOf(job: Job, contextTokens: number): number {
  return Math.min(job.prompt.length + job.maxTokens, contextTokens);
}
