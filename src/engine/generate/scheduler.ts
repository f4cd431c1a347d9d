/**
 * Continuous batching: what is decoded in the next step, one token of every running request and a chunk of the prompts
 * of those that start. Between two steps, work in pieces: requests are prepared, and what may come next in an answer that
 * follows a grammar is found, while other streams go on. Owns a request until its last event. Sees the native library
 * only as a `Decoder`, and of an answer only what may come next and whether it is over.
 */
import type { Decoder } from "../native/context.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import { AnswerSteps } from "./answer_steps.ts";
import { Answering } from "./answering.ts";
import { StepBatch } from "./step_batch.ts";
import { SpareTime } from "./ahead/spare_time.ts";
import { StepTimes } from "./ahead/speculation.ts";
import { Prompts } from "./prompts.ts";
import { cellsOf, type Job, Running } from "./running.ts";
import { type Slot, Slots } from "./slots.ts";
import type { Work } from "../../work/work.ts";
import { WorkBudget } from "./work/work_budget.ts";
import { Workbench } from "./work/workbench.ts";

/** What there is to schedule on. */
export interface SchedulerOptions {
  readonly decoder: Decoder;
  readonly parallel: number;
  /** Tokens one request may use, prompt and answer together. */
  readonly contextTokens: number;
  /** A sequence cannot be cut, only continued or emptied. */
  readonly wholeSequencesOnly?: boolean;
  /** Beginnings of prompts to come, decoded in quiet moments and kept; each has a sequence behind those of requests. */
  readonly kept?: readonly Int32Array[];
  /** Rows of logits that there are for guesses; absent: none, and nothing is guessed. */
  readonly guesses?: number;
  /** Milliseconds without anything to do for somebody, before something is done for nobody yet. */
  readonly quietMs?: number;
  readonly now?: () => number;
}

/** How long to work while nothing is decoded, before the engine looks for other requests. */
const ALONE_WORK_MS = 5;
/** A request without a slot. */
interface Waiting {
  readonly job: Job;
  /** It has run, and given up its slot while its reader was slow. */
  readonly rested?: Running;
  paused: boolean;
  readonly submittedAt: number;
}

/** The requests of an engine. */
export class Scheduler {
  readonly #decoder: Decoder;
  readonly #contextTokens: number;
  readonly #wholeSequencesOnly: boolean;
  readonly #now: () => number;
  readonly #slots: Slots<Running>;
  readonly #waiting: Waiting[] = [];
  /** Paused requests that gave up their slots to others, by their ids. */
  readonly #resting = new Map<number, Running>();
  readonly #prompts: Prompts;
  readonly #batch: StepBatch;
  readonly #answers: AnswerSteps;
  readonly #times = new StepTimes();
  readonly #spare: SpareTime;
  /** What is decoded is for nobody yet. */
  #isQuiet = false;
  readonly #bench: Workbench;
  readonly #answering: Answering;
  readonly #budget = new WorkBudget();
  /** Requests that are prepared, and whether they are to begin paused. */
  readonly #preparing = new Map<number, { paused: boolean }>();
  #events: EngineEvent[] = [];

  constructor(options: SchedulerOptions) {
    this.#decoder = options.decoder;
    this.#batch = new StepBatch(options.decoder);
    this.#contextTokens = options.contextTokens;
    this.#wholeSequencesOnly = options.wholeSequencesOnly ?? false;
    this.#now = options.now ?? ((): number => performance.now());
    this.#bench = new Workbench(this.#now);
    this.#answering = new Answering({
      decoder: options.decoder,
      bench: this.#bench,
      now: this.#now,
      tell: (events) => this.#events.push(...events),
      truncate: (slot, length) => this.#truncate(slot, length),
      release: (slot) => this.#release(slot),
      ended: (slot, job) => this.#ended(slot, job),
    });
    this.#slots = new Slots(options.parallel, {
      cells: options.decoder.cells,
      wholeSequencesOnly: this.#wholeSequencesOnly,
      apart: options.decoder.apart,
      kept: options.kept?.map(({ length }) => length) ?? [],
    });
    this.#prompts = new Prompts({
      decoder: options.decoder,
      slots: this.#slots,
      batch: this.#batch,
      truncate: (slot, length) => this.#truncate(slot, length),
    });
    this.#answers = new AnswerSteps({
      decoder: options.decoder,
      slots: this.#slots,
      batch: this.#batch,
      prompts: this.#prompts,
      contextTokens: options.contextTokens,
      guesses: this.#wholeSequencesOnly ? 0 : options.guesses ?? 0,
    });
    this.#spare = new SpareTime({
      slots: this.#slots,
      batch: this.#batch,
      prompts: this.#prompts,
      truncate: (slot, length) => this.#truncate(slot, length),
      ...(options.quietMs === undefined ? {} : { quietMs: options.quietMs }),
      now: this.#now,
    });
    options.kept?.forEach((tokens, index) => {
      this.#spare.keep(this.#slots.all[options.parallel + index] as Slot<Running>, tokens);
    });
  }

  /** Whether a step would do anything. */
  get busy(): boolean {
    return this.busyIn === 0;
  }

  /** In how many milliseconds a step would do something, if nothing comes until then; `undefined`: it never would. */
  get busyIn(): number | undefined {
    return this.#bench.busy || this.#decodes ? 0 : this.#spare.busyIn;
  }

  /** Settles when there may be more to do, where a request waits for something that is computed beside this thread. */
  get beside(): Promise<void> | undefined {
    const both = [this.#bench.beside, this.#spare.beside].filter((promise) => promise !== undefined);
    return both.length === 0 ? undefined : Promise.race(both);
  }

  /** Take a request; it starts when a slot and the cells for it are free. Its prompt is known to fit. */
  submit(job: Job, { paused = false, submittedAt = this.#now() } = {}): void {
    this.#waiting.push({ job, paused, submittedAt });
  }

  /**
   * Take a request that has to be prepared, between steps.
   *
   * @param id The request.
   * @param work Makes it a job.
   * @param refuse Says what is wrong with it, where that fails.
   */
  prepare(id: number, work: Work<Job>, refuse: (error: unknown) => EngineEvent): void {
    const preparing = { paused: false, submittedAt: this.#now() };
    this.#preparing.set(id, preparing);
    this.#bench.add(id, work, {
      done: (job) => {
        this.#preparing.delete(id);
        this.submit(job, preparing);
      },
      failed: (error) => {
        this.#preparing.delete(id);
        this.#events.push(refuse(error));
      },
    });
  }

  /**
   * Take a question that is answered without the model, between steps.
   *
   * @param id The question.
   * @param work Finds the answer.
   * @param refuse Says what is wrong with it, where that fails.
   */
  answer(id: number, work: Work<EngineEvent>, refuse: (error: unknown) => EngineEvent): void {
    this.#bench.add(id, work, {
      done: (event) => this.#events.push(event),
      failed: (error) => this.#events.push(refuse(error)),
    });
  }

  /** Forget a request; what it decoded so far stays for the next. */
  cancel(id: number): void {
    this.#preparing.delete(id);
    this.#resting.delete(id);
    this.#bench.drop(id);
    const waiting = this.#waiting.findIndex((entry) => entry.job.id === id);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const slot = this.#slotOf(id);
    if (slot !== undefined) this.#release(slot);
  }

  /** Decode nothing for a request for now. */
  pause(id: number): void {
    this.#setPaused(id, true);
  }

  /** Go on with a request. */
  resume(id: number): void {
    const rested = this.#resting.get(id);
    if (rested === undefined) return this.#setPaused(id, false);
    this.#resting.delete(id);
    this.#waiting.push({ job: rested.job, rested, paused: false, submittedAt: rested.times.submittedAt });
  }

  /**
   * Whether the batch that is decoded now is to be given up when these requests are cancelled. The others lose what was
   * computed for them, so only if most of it is for those who go; where what is in memory cannot be cut, only if all is.
   */
  abandons(ids: ReadonlySet<number>): boolean {
    let going = 0;
    for (const { job } of this.#batch.slots) if (job !== undefined && ids.has(job.job.id)) going++;
    const all = this.#batch.size;
    return going > 0 && (this.#wholeSequencesOnly ? going === all : going * 2 >= all);
  }

  /** Whether the batch that is decoded now is to be given up when a request comes. */
  get yields(): boolean {
    return this.#isQuiet;
  }

  /** Work for a while, and decode one batch; returns what happened. */
  step(): EngineEvent[] {
    const isWorking = this.#bench.busy;
    this.#work();
    this.#decode();
    if (isWorking || this.#batch.size > 0 && !this.#isQuiet) this.#spare.interrupt();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** While something is decoded, only as long as that leaves those who wait for it their speed. */
  #work(): void {
    if (!this.#bench.busy) return;
    if (!this.#decodes) return this.#bench.work(ALONE_WORK_MS);
    if (!this.#budget.hasTime) return;
    const started = this.#now();
    this.#bench.work(this.#budget.ms);
    this.#budget.spend(this.#now() - started);
  }

  /** Whether there is something to decode that somebody waits for. */
  get #decodes(): boolean {
    return this.#slots.all.some(({ job }) => job !== undefined && !job.paused && job.row === undefined) ||
      this.#mayStart();
  }

  /** Whether a stream waits to find out what may come next. */
  get #finds(): boolean {
    return this.#slots.all.some(({ job }) => job?.row !== undefined);
  }

  #decode(): void {
    this.#start();
    const batch = this.#batch;
    batch.clear();
    const answers = this.#answers.going();
    const streams = answers.length;
    const promptsFirst = this.#answers.wouldJoin(answers);
    let prompts = promptsFirst ? this.#prompts.put(streams) : 0;
    this.#answers.put(answers);
    if (!promptsFirst) prompts = this.#prompts.put(batch.size, this.#finds);
    this.#isQuiet = batch.size === 0 && !this.#bench.busy && this.#spare.put();
    if (batch.size === 0) return;

    const started = this.#now();
    try {
      const outcome = this.#decoder.decode();
      if (outcome === "full") return this.#failAll("The model's memory is full");
      for (const slot of batch.bridges) this.#cutBack(slot);
      if (outcome === "aborted") return this.#rewind();
    } catch (error) {
      return this.#failAll(error instanceof Error ? error.message : String(error));
    }
    const took = this.#now() - started;
    this.#budget.earn(took);
    if (batch.size === streams) this.#times.learn(streams, took);
    else if (streams === 0) this.#prompts.learn(batch.size, took);
    else if (prompts > 0) this.#prompts.learn(this.#decoder.apart ? prompts : batch.size, took);
    batch.note();
    this.#prompts.dropDecoded();
    this.#spare.dropDecoded();
    for (const rows of batch.rows) this.#answering.choose(rows, this.#times.stepsIn(streams, took));
  }

  /** A batch was given up: of what it was to add, parts may be in memory. */
  #rewind(): void {
    for (const slot of new Set(this.#batch.slots)) this.#cutBack(slot);
  }

  /** Memory may hold more of a slot than is known of it. */
  #cutBack(slot: Slot<Running>): void {
    if (!this.#decoder.truncate(slot.sequence, slot.tokens.length)) slot.tokens.length = 0;
  }

  #mayStart(): boolean {
    const first = this.#waiting[0];
    if (first === undefined) return false;
    return this.#slots.fits(cellsOf(first.job, this.#contextTokens)) ||
      this.#slots.all.some((slot) => this.#mayRest(slot));
  }

  /** Whether a request could give up its slot: its reader is slow, and the next token of its answer is known. */
  #mayRest(slot: Slot<Running>): boolean {
    const { job } = slot;
    return job !== undefined && job.paused && job.chosen.length > 0 && !this.#prompts.has(slot);
  }

  /**
   * Have paused requests give up their slots to the one that is next, as many as it takes. What they have in memory stays
   * there until somebody needs the room.
   *
   * @returns Whether it fits now.
   */
  #makeRoom(job: Job): boolean {
    const cells = cellsOf(job, this.#contextTokens);
    for (const slot of this.#slots.all) {
      if (this.#slots.fits(cells)) return true;
      if (!this.#mayRest(slot)) continue;
      const running = slot.job as Running;
      running.prefix = Int32Array.from(slot.tokens);
      running.begun = false;
      running.rested = true;
      this.#resting.set(running.job.id, running);
      this.#release(slot);
    }
    return this.#slots.fits(cells);
  }

  /** Give slots to those that wait, in order. */
  #start(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#makeRoom(next.job); next = this.#waiting[0]) {
      this.#waiting.shift();
      const { job, rested, paused, submittedAt } = next;
      const times = { submittedAt, startedAt: this.#now() };
      const running = rested ?? new Running(job, this.#contextTokens, paused, times);
      running.paused = paused;
      const { prefix } = running;
      const slot = this.#slots.assign(running, prefix, running.limit);
      const readyFrom = this.#spare.drop(slot) ?? Infinity;
      if (rested === undefined) running.readyFrom = readyFrom;
      this.#truncate(slot, this.#slots.usable(slot, prefix));
      for (const idle of this.#slots.toEmpty(this.#slots.prefix(prefix)?.slot)) {
        this.#spare.drop(idle);
        this.#truncate(idle, 0);
      }
      this.#prompts.add(slot);
      this.#decoder.beginRequest();
    }
  }

  #truncate(slot: Slot<Running>, length: number): void {
    if (slot.tokens.length === length) return;
    slot.tokens.length = this.#decoder.truncate(slot.sequence, length) ? length : 0;
  }

  /** A step failed: nothing is known of the memory any more. */
  #failAll(message: string): void {
    for (const slot of this.#slots.all) {
      if (slot.job !== undefined) this.#events.push({ id: slot.job.job.id, error: "internal", message });
      if (!slot.kept) this.#release(slot);
      this.#spare.drop(slot);
      this.#decoder.truncate(slot.sequence, 0);
      slot.tokens.length = 0;
    }
  }

  /** What the next turn begins with can be found out now. */
  #ended(slot: Slot<Running>, { nextTurn, answer: { said } }: Job): void {
    if (nextTurn === undefined || said === undefined || this.#wholeSequencesOnly) return;
    this.#spare.prepare(slot, nextTurn(said));
  }

  #release(slot: Slot<Running>): void {
    this.#prompts.drop(slot);
    if (slot.job?.row !== undefined) this.#bench.drop(slot.job.job.id);
    this.#slots.release(slot);
  }

  #slotOf(id: number): Slot<Running> | undefined {
    return this.#slots.all.find((slot) => slot.job?.job.id === id);
  }

  #setPaused(id: number, paused: boolean): void {
    const running = this.#slotOf(id)?.job ?? this.#preparing.get(id) ??
      this.#waiting.find((entry) => entry.job.id === id);
    if (running !== undefined) running.paused = paused;
  }
}
