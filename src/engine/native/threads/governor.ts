/**
 * Thread count: how many threads are best for a step. Threads synchronise after
 * every operation, so with a small model or on a busy machine more threads may be several times slower.
 */
import process from "node:process";
import type { FreeCores } from "./free_cores.ts";

/** Steps of similar size are compared. Upper bound of each size class, in tokens. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, Infinity] as const;
/** A different thread count must cost less than this share of the current one to be adopted. */
const CLEARLY_BETTER = 0.9;
/** Above this ratio a trial ends early. */
const CLEARLY_WORSE = 1.3;
/** Below this share of its cores, the process is considered disturbed by others. */
const UNDISTURBED = 0.85;
/** With this share of them free, threads that were given up because of others are taken again. */
const CALM = 0.9;
/** Milliseconds until it is looked whether others rest, first and at most: doubles each time that they soon work again. */
const FIRST_LOOK_MS = 500;
const LAST_LOOK_MS = 8_000;
/** Milliseconds until the next look after one that tells nothing: others worked, but perhaps only while this process idled. */
const UNTOLD_LOOK_MS = 200;
/** Share of the time since the last look in which this process must have computed for a look to tell that others work. */
const TOLD_SHARE = 0.8;
const TRIAL_STEPS = 4;
/** Compute time between trials, initial and maximum: doubles as long as trials change nothing. */
const FIRST_INTERVAL_MS = 100;
const LONGEST_INTERVAL_MS = 30_000;
/** Share of a request's compute time that trials may cost. */
const TRIAL_SHARE = 0.02;
/** Weight of the newest step in the moving averages. */
const NEWEST = 1 / 8;

/** CPU time is measured for every step this long, in milliseconds, and for one of this many shorter ones. */
const LONG_STEP_MS = 10;
const ASKED_OF = 8;

export interface StepTime {
  readonly ms: number;
  /** CPU time of the whole process during the step; absent if not measured. */
  readonly cpuMs?: number;
}

export class StepTimer {
  readonly #startMs = performance.now();
  readonly #startCpuMs: number | undefined;

  /** @param options.cores Whether to measure CPU time, which costs some microseconds. */
  constructor({ cores }: { readonly cores: boolean }) {
    this.#startCpuMs = cores ? cpuMs() : undefined;
  }

  /** Duration so far. */
  stop(): StepTime {
    const ms = performance.now() - this.#startMs;
    return this.#startCpuMs === undefined ? { ms } : { ms, cpuMs: cpuMs() - this.#startCpuMs };
  }
}

/** CPU time of this process, all threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Statistics of one size class. */
interface Experience {
  /** Index into the choices. */
  current: number;
  /** Moving average of milliseconds per token with the current choice; 0 if unknown. */
  cost: number;
  /** Moving average of the cores that the threads actually got. */
  cores: number;
  /** Moving average of milliseconds of one core per token in steps that got their cores; 0 if unknown. */
  work: number;
  /** Whether the newest step got so few cores that fewer threads would have taken less time on an idle machine. */
  late: boolean;
  /** Index of the choice on trial. */
  trial: number | undefined;
  trialSteps: number;
  trialCost: number;
  /** Extra cost of the last trial of more threads, in milliseconds per token. */
  waste: number;
  untilTrialMs: number;
  intervalMs: number;
  /** The choice that was given up because others used the cores. */
  calm: number | undefined;
}

export interface GovernorOptions {
  /** What other processes leave; absent: it cannot be told. */
  readonly free?: Pick<FreeCores, "cores"> | undefined;
  readonly now?: () => number;
}

/**
 * Chooses the thread count of each step, and learns from its duration.
 *
 * Starts with the given count. Fewer threads are tried only when the process does not get its cores, so never on an
 * idle machine; more are tried from time to time. A step is used for a trial only if its possible cost is at most
 * {@linkcode TRIAL_SHARE} of the compute time since the last trial and since the newest request began, so that no
 * request pays more than that share.
 *
 * Short requests never earn a trial of more threads. So those given up because of other processes are taken again
 * without one, once the others rest.
 */
export class ThreadGovernor {
  readonly #choices: readonly number[];
  readonly #kinds: readonly Experience[];
  /** Compute time available for trials; negative after one that cost more than expected. */
  #earnedMs = 0;
  /** Whether the current step is part of a trial. */
  #trying = false;
  #steps = 0;
  #asks = true;
  readonly #free: Pick<FreeCores, "cores"> | undefined;
  readonly #now: () => number;
  /** When to look whether others rest; `undefined` while no threads are given up. */
  #lookAt: number | undefined;
  #lookMs = FIRST_LOOK_MS;
  #lookedAt = 0;
  /** Compute time since the last look. */
  #sinceLookMs = 0;
  #calmAt = -Infinity;

  /**
   * @param most Maximum number of threads.
   * @param first Initial number of threads for steps of at least this many tokens.
   */
  constructor(most: number, first: (tokens: number) => number, options: GovernorOptions = {}) {
    this.#free = options.free;
    this.#now = options.now ?? ((): number => performance.now());
    const choices: number[] = [];
    for (let threads = 1; threads < most; threads *= 2) choices.push(threads);
    this.#choices = [...choices, most];
    this.#kinds = SIZES.map((_, kind) => ({
      current: this.#choices.indexOf(first((SIZES[kind - 1] ?? 0) + 1)),
      cost: 0,
      cores: 0,
      work: 0,
      late: false,
      trial: undefined,
      trialSteps: 0,
      trialCost: 0,
      waste: 0,
      untilTrialMs: FIRST_INTERVAL_MS,
      intervalMs: FIRST_INTERVAL_MS,
      calm: undefined,
    }));
  }

  /** Starts a request: it pays only for trials that its own compute time has earned. */
  beginRequest(): void {
    this.#earnedMs = Math.min(this.#earnedMs, 0);
  }

  /** Thread count for a step of this many tokens. */
  choose(tokens: number): number {
    if (this.#lookAt !== undefined && this.#now() >= this.#lookAt) this.#look();
    const kind = this.#kind(tokens);
    kind.trial ??= this.#nextTrial(kind);
    this.#trying = kind.trial !== undefined &&
      this.#mayCost(kind, kind.trial) * tokens <= this.#earnedMs * TRIAL_SHARE;
    this.#asks = kind.cost === 0 || kind.cost * tokens >= LONG_STEP_MS || this.#steps++ % ASKED_OF === 0;
    return this.#choices[this.#trying ? kind.trial as number : kind.current] as number;
  }

  /** Whether to measure CPU time in the current step. */
  get asksForCores(): boolean {
    return this.#asks;
  }

  /** Record the duration of a step with the thread count last chosen for its size. */
  learn(tokens: number, { ms, cpuMs }: StepTime): void {
    const kind = this.#kind(tokens);
    const cost = ms / tokens;
    this.#earnedMs += ms;
    this.#sinceLookMs += ms;
    if (this.#trying && kind.trial !== undefined) {
      this.#earnedMs -= ms + Math.max(0, cost - kind.cost) * tokens / TRIAL_SHARE;
      kind.trialSteps++;
      kind.trialCost += (cost - kind.trialCost) / kind.trialSteps;
      if (kind.trialSteps >= TRIAL_STEPS || kind.trialCost > kind.cost * CLEARLY_WORSE) {
        this.#endTrial(kind, kind.trial);
      }
      return;
    }
    const weight = kind.cost === 0 ? 1 : NEWEST;
    kind.cost += (cost - kind.cost) * weight;
    // Until measured, assume that threads get their cores.
    if (cpuMs !== undefined) this.#learnCores(kind, cost, { cores: cpuMs / Math.max(ms, 0.001), weight });
    else if (weight === 1) kind.cores = this.#choices[kind.current] as number;
    kind.untilTrialMs -= ms;
  }

  #learnCores(
    kind: Experience,
    cost: number,
    { cores, weight }: { readonly cores: number; readonly weight: number },
  ): void {
    kind.cores += (cores - kind.cores) * weight;
    const threads = this.#choices[kind.current] as number;
    const fewer = this.#choices[kind.current - 1];
    const gotThem = cores >= threads * UNDISTURBED;
    kind.late = !gotThem && fewer !== undefined && kind.work > 0 && cost > kind.work / fewer;
    if (gotThem) kind.work += (cost * threads - kind.work) * (kind.work === 0 ? 1 : NEWEST);
  }

  #kind(tokens: number): Experience {
    return this.#kinds[SIZES.findIndex((largest) => tokens <= largest)] as Experience;
  }

  /** The choice to try now, if any. */
  #nextTrial(kind: Experience): number | undefined {
    const { current, cost, cores, late, untilTrialMs } = kind;
    if (cost === 0 || untilTrialMs > 0) return undefined;
    const disturbed = late || cores < (this.#choices[current] as number) * UNDISTURBED;
    // Without enough cores, more threads gain nothing.
    const next = disturbed ? current - 1 : current + 1;
    if (this.#choices[next] === undefined) return undefined;
    kind.trialSteps = 0;
    kind.trialCost = 0;
    return next;
  }

  /** Expected extra cost of a trial step, in milliseconds per token. */
  #mayCost(kind: Experience, trial: number): number {
    const threads = this.#choices[trial] as number;
    const current = this.#choices[kind.current] as number;
    // More threads probably cost as much as last time.
    if (threads > current) return Math.max(kind.cost, kind.waste);
    // Fewer threads do the same work, perhaps when nobody disturbs any more.
    if (kind.work > 0) return kind.work / threads - kind.work / current;
    return kind.cost * Math.max(0, Math.min(kind.cores, current) / threads - 1);
  }

  #endTrial(kind: Experience, trial: number): void {
    if (kind.trialCost < kind.cost * CLEARLY_BETTER) {
      // Looking costs less than trying again.
      const isLookedFor = trial < kind.current && this.#giveUp();
      this.#move(kind, trial);
      kind.intervalMs = isLookedFor ? LAST_LOOK_MS : FIRST_INTERVAL_MS;
    } else {
      if (trial > kind.current) kind.waste = Math.max(0, kind.trialCost - kind.cost);
      kind.intervalMs = Math.min(kind.intervalMs * 2, LONGEST_INTERVAL_MS);
    }
    kind.trial = undefined;
    kind.untilTrialMs = kind.intervalMs;
  }

  /**
   * Threads synchronise once per operation, whatever the step size: more threads that pay for a small step also pay for
   * a larger one, which can rarely afford its own trial.
   */
  #move(kind: Experience, to: number): void {
    const at = this.#kinds.indexOf(kind);
    const upwards = to > kind.current;
    for (const [i, other] of this.#kinds.entries()) {
      if (i !== at && (upwards ? i < at || other.current >= to : i > at || other.current <= to)) continue;
      if (!upwards) other.calm ??= other.current;
      else if (to >= (other.calm ?? 0)) other.calm = undefined;
      other.current = to;
      other.cost = 0;
      other.trial = undefined;
    }
  }

  /**
   * Threads are given up: from now on it is looked what others use.
   *
   * @returns Whether that can be told.
   */
  #giveUp(): boolean {
    if (this.#free === undefined) return false;
    const now = this.#now();
    this.#lookMs = now - this.#calmAt < this.#lookMs * 2 ? Math.min(this.#lookMs * 2, LAST_LOOK_MS) : FIRST_LOOK_MS;
    this.#free.cores();
    this.#lookAgainIn(this.#lookMs);
    return true;
  }

  #lookAgainIn(ms: number): void {
    this.#lookedAt = this.#now();
    this.#sinceLookMs = 0;
    this.#lookAt = this.#lookedAt + ms;
  }

  /** Takes the threads again that were given up, if others have left enough cores since the last look. */
  #look(): void {
    this.#lookAt = undefined;
    const given = this.#kinds.filter(({ calm }) => calm !== undefined);
    if (given.length === 0) return;
    const now = this.#now();
    const free = this.#free?.cores() ?? 0;
    const threads = Math.max(...given.map(({ calm }) => this.#choices[calm as number] as number));
    if (free < threads * CALM) {
      const told = this.#sinceLookMs >= (now - this.#lookedAt) * TOLD_SHARE;
      this.#lookAgainIn(told ? this.#lookMs : UNTOLD_LOOK_MS);
      return;
    }
    this.#calmAt = now;
    for (const kind of given) {
      kind.current = kind.calm as number;
      kind.calm = undefined;
      kind.cost = 0;
      kind.cores = 0;
      kind.trial = undefined;
      kind.untilTrialMs = kind.intervalMs = FIRST_INTERVAL_MS;
    }
  }
}
