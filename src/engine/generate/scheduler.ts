/**
 * Continuous batching: each step decodes one token of every running request plus a chunk of prefill. Between steps,
 * time-sliced work prepares requests and computes token masks while other streams continue. Owns a request until its
 * last event. Sees the native library only as a `Decoder`, and an answer only as allowed tokens and whether it is over.
 */
import type { Decoder } from "../native/context.ts";
import type { EngineEvent } from "../ipc/messages.ts";
import { AnswerSteps } from "./answer_steps.ts";
import { Answering } from "./answering.ts";
import { Bursts } from "./bursts.ts";
import { StepBatch } from "./step_batch.ts";
import { SpareTime } from "./ahead/spare_time.ts";
import type { Draft } from "./ahead/draft.ts";
import { Guesses } from "./ahead/guesses.ts";
import { Prompts } from "./prompts.ts";
import { cellsOf, type Job, Running } from "./running.ts";
import { type Slot, Slots } from "./slots.ts";
import type { Work } from "../../work/work.ts";
import { WorkBudget } from "./work/work_budget.ts";
import { Workbench } from "./work/workbench.ts";
import { errorText } from "../../log/error_text.ts";

export interface SchedulerOptions {
  readonly decoder: Decoder;
  readonly parallel: number;
  /** Maximum tokens of a request, prompt and answer. */
  readonly contextTokens: number;
  /** Sequences can only be extended or cleared, not truncated. */
  readonly wholeSequencesOnly?: boolean;
  /** Prompt prefixes to decode in idle time and keep; each has a sequence after those of requests. */
  readonly kept?: readonly Int32Array[];
  /** Logits rows reserved for drafts; absent: no drafting. */
  readonly guesses?: number;
  /** Guesses what comes next where nothing like it came before; absent: nobody does. */
  readonly draft?: Draft;
  /** Idle time before speculative work starts. */
  readonly quietMs?: number;
  readonly now?: () => number;
}

interface Waiting {
  readonly job: Job;
  /** State of a request that was preempted because its reader was slow. */
  readonly rested?: Running;
  paused: boolean;
  readonly submittedAt: number;
}

export class Scheduler {
  readonly #decoder: Decoder;
  readonly #contextTokens: number;
  readonly #wholeSequencesOnly: boolean;
  readonly #now: () => number;
  readonly #slots: Slots<Running>;
  readonly #waiting: Waiting[] = [];
  readonly #resting = new Map<number, Running>();
  readonly #prompts: Prompts;
  readonly #batch: StepBatch;
  readonly #answers: AnswerSteps;
  readonly #guesses: Guesses;
  readonly #spare: SpareTime;
  readonly #bursts: Bursts;
  /** Whether the current batch is speculative. */
  #isQuiet = false;
  readonly #bench: Workbench;
  readonly #answering: Answering;
  readonly #budget = new WorkBudget();
  /** Requests in preparation, and whether they start paused. */
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
      others: (slot) => this.#slots.all.filter((other) => other !== slot),
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
      onProgress: (running, tokens) => this.#events.push(running.progress(this.#now(), tokens)),
    });
    this.#bursts = new Bursts({
      decoder: options.decoder,
      slots: this.#slots,
      prompts: this.#prompts,
      parallel: options.parallel,
      now: this.#now,
    });
    this.#guesses = new Guesses({
      rows: this.#wholeSequencesOnly ? 0 : options.guesses ?? 0,
      ...(options.draft === undefined ? {} : { draft: options.draft }),
    });
    this.#answers = new AnswerSteps({
      decoder: options.decoder,
      slots: this.#slots,
      batch: this.#batch,
      prompts: this.#prompts,
      contextTokens: options.contextTokens,
      guesses: this.#guesses,
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

  /** Whether a step would do anything now. */
  get busy(): boolean {
    return this.busyIn === 0;
  }

  /** Milliseconds until a step would do something on its own; `undefined` if never. */
  get busyIn(): number | undefined {
    if (this.#bench.busy) return 0;
    return this.#decodes ? this.#bursts.startsIn(this.#waiting.length) : this.#spare.busyIn;
  }

  /** Settles when off-thread work that a request waits for may be done. */
  get beside(): Promise<void> | undefined {
    const both = [this.#bench.beside, this.#spare.turns.beside].filter((promise) => promise !== undefined);
    return both.length === 0 ? undefined : Promise.race(both);
  }

  /** Enqueue a request; it starts when a slot and enough cells are free. Its prompt is known to fit. */
  submit(job: Job, { paused = false, submittedAt = this.#now() } = {}): void {
    this.#bursts.arrives(job.prompt);
    this.#waiting.push({ job, paused, submittedAt });
  }

  /** Prepare a request between steps, then enqueue it. */
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

  /** Answer a query that needs no decoding, between steps. */
  answer(id: number, work: Work<EngineEvent>, refuse: (error: unknown) => EngineEvent): void {
    this.#bench.add(id, work, {
      done: (event) => this.#events.push(event),
      failed: (error) => this.#events.push(refuse(error)),
    });
  }

  /** Cancel a request; its decoded tokens stay in the prefix cache. */
  cancel(id: number): void {
    this.#preparing.delete(id);
    this.#resting.delete(id);
    this.#bench.drop(id);
    const waiting = this.#waiting.findIndex((entry) => entry.job.id === id);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    const slot = this.#slotOf(id);
    if (slot !== undefined) this.#release(slot);
  }

  pause(id: number): void {
    this.#setPaused(id, true);
  }

  resume(id: number): void {
    const rested = this.#resting.get(id);
    if (rested === undefined) return this.#setPaused(id, false);
    this.#resting.delete(id);
    this.#waiting.push({ job: rested.job, rested, paused: false, submittedAt: rested.times.submittedAt });
  }

  /**
   * Whether to abort the current batch when these requests are cancelled. Aborting discards the others' work, so only
   * if most of the batch belongs to the cancelled; if sequences cannot be truncated, only if all of it does.
   */
  abandons(ids: ReadonlySet<number>): boolean {
    let going = 0;
    for (const { job } of this.#batch.slots) if (job !== undefined && ids.has(job.job.id)) going++;
    const all = this.#batch.size;
    return going > 0 && (this.#wholeSequencesOnly ? going === all : going * 2 >= all);
  }

  /** Whether to abort the current batch when a request arrives. */
  get yields(): boolean {
    return this.#isQuiet;
  }

  /** Work for a time slice, then decode one batch; returns the events. */
  step(): EngineEvent[] {
    const isWorking = this.#bench.busy;
    this.#work();
    this.#decode();
    if (isWorking || this.#batch.size > 0 && !this.#isQuiet) this.#spare.interrupt();
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** While decoding, work only as long as the budget allows, so that streams keep their speed. */
  #work(): void {
    if (!this.#bench.busy) return;
    if (!this.#decodes) return this.#bench.work();
    if (!this.#budget.hasTime) return;
    const started = this.#now();
    this.#bench.work(this.#budget.ms);
    this.#budget.spend(this.#now() - started);
  }

  /** Whether there is decoding that a request waits for. */
  get #decodes(): boolean {
    return this.#slots.all.some(({ job }) => job !== undefined && !job.paused && job.row === undefined) ||
      this.#mayStart();
  }

  /** Whether a stream waits for its token mask. */
  get #finds(): boolean {
    return this.#slots.all.some(({ job }) => job?.row !== undefined);
  }

  #decode(): void {
    const batch = this.#batch;
    batch.clear();
    if (this.#bursts.startsIn(this.#waiting.length) > 0) return;
    this.#start();
    const going = this.#answers.going();
    const { waitedMs } = this.#bursts;
    let prompts = !this.#finds && this.#bursts.holds(going) ? this.#prompts.put(0, { isWaitedFor: true, waitedMs }) : 0;
    const held = prompts > 0;
    const answers = held ? [] : going;
    const streams = answers.length;
    const promptsFirst = this.#answers.wouldJoin(answers);
    if (promptsFirst) prompts = this.#prompts.put(streams, { waitedMs });
    this.#answers.put(answers);
    if (!held && !promptsFirst) {
      prompts = this.#prompts.put(batch.size, { isWaitedFor: batch.size > 0 || this.#finds, waitedMs });
    }
    this.#isQuiet = batch.size === 0 && !this.#bench.busy && this.#spare.put();
    if (batch.size === 0) return;

    const started = this.#now();
    try {
      const outcome = this.#decoder.decode();
      if (outcome === "full") return this.#failAll("The KV cache is full");
      for (const slot of batch.bridges) this.#cutBack(slot);
      if (outcome === "aborted") return this.#rewind();
    } catch (error) {
      return this.#failAll(errorText(error));
    }
    const took = this.#now() - started;
    this.#budget.earn(took);
    this.#bursts.stepped(took, { held });
    if (batch.size === streams) this.#guesses.times.learn(streams, took);
    if (streams === 0) this.#prompts.learn(batch.size, 0, took);
    else if (prompts > 0 || batch.size === streams) this.#prompts.learn(prompts, batch.size - prompts, took);
    batch.note();
    this.#prompts.tellProgress();
    this.#prompts.dropDecoded();
    this.#spare.dropDecoded();
    for (const rows of batch.rows) {
      this.#answering.choose(rows, this.#guesses.times.stepsIn(streams, took + rows.guess.ms));
    }
  }

  /** An aborted batch may be partly in the KV cache. */
  #rewind(): void {
    for (const slot of new Set(this.#batch.slots)) this.#cutBack(slot);
  }

  /** Truncates the KV cache to the known tokens. */
  #cutBack(slot: Slot<Running>): void {
    if (!this.#decoder.truncate(slot.sequence, slot.tokens.length)) slot.tokens.length = 0;
  }

  #mayStart(): boolean {
    const first = this.#waiting[0];
    if (first === undefined) return false;
    return this.#slots.fits(cellsOf(first.job, this.#contextTokens)) ||
      this.#slots.all.some((slot) => this.#mayRest(slot));
  }

  /** Whether a request can be preempted: its reader is slow, and its next token is known. */
  #mayRest(slot: Slot<Running>): boolean {
    const { job } = slot;
    return job !== undefined && job.paused && job.chosen.length > 0 && !this.#prompts.has(slot);
  }

  /**
   * Preempt paused requests until the next one fits. Their tokens stay cached until the cells are needed.
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

  /** Assigns slots to waiting requests in FIFO order. */
  #start(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#makeRoom(next.job); next = this.#waiting[0]) {
      this.#waiting.shift();
      const { job, rested, paused, submittedAt } = next;
      const times = { submittedAt, startedAt: this.#now() };
      const running = rested ?? new Running(job, this.#contextTokens, paused, times);
      running.paused = paused;
      const { prefix } = running;
      const slot = this.#slots.assign(running, prefix, {
        cells: running.limit,
        needed: this.#waiting.length + 1,
      });
      const readyFrom = this.#spare.turns.drop(slot) ?? Infinity;
      if (rested === undefined) running.readyFrom = readyFrom;
      this.#truncate(slot, this.#slots.usable(slot, prefix));
      for (const idle of this.#slots.toEmpty(this.#slots.prefix(prefix)?.slot)) {
        this.#spare.turns.drop(idle);
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

  /** After a failed step, the contents of the KV cache are unknown. */
  #failAll(message: string): void {
    for (const slot of this.#slots.all) {
      if (slot.job !== undefined) this.#events.push({ id: slot.job.job.id, error: "internal", message });
      if (!slot.kept) this.#release(slot);
      this.#spare.turns.drop(slot);
      this.#decoder.truncate(slot.sequence, 0);
      slot.tokens.length = 0;
    }
  }

  #ended(slot: Slot<Running>, { nextTurn, answer: { said } }: Job): void {
    if (nextTurn === undefined || said === undefined || this.#wholeSequencesOnly) return;
    this.#spare.turns.add(slot, nextTurn(said));
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
