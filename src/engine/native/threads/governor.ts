/**
 * How many threads compute: what the machine grants this process, and how many of those a step is best done with. The
 * threads of a step wait for each other after every operation, so with a small model, or on a machine where other
 * processes are busy, more threads may be several times slower.
 */
import process from "node:process";

/** The cores this process may use (affinity and quota are in what the system reports), the physical ones at most. */
export function usableCores(): number {
  return Math.max(1, Math.min(navigator.hardwareConcurrency, physicalCores() ?? Infinity));
}

/** Cores without their hyper-threads, where the system tells. */
function physicalCores(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const root = "/sys/devices/system/cpu";
  try {
    const siblings = new Set<string>();
    for (const { name } of Deno.readDirSync(root)) {
      if (!/^cpu\d+$/.test(name)) continue;
      siblings.add(Deno.readTextFileSync(`${root}/${name}/topology/thread_siblings_list`).trim());
    }
    return siblings.size > 0 ? siblings.size : undefined;
  } catch {
    return undefined; // a container may hide it
  }
}

/** Steps of similar size are compared with each other. The largest step of each kind, in tokens. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, Infinity] as const;
/** Another number of threads must cost less than this share of the current cost to be taken. */
const CLEARLY_BETTER = 0.9;
/** Above this ratio a trial is over before its time. */
const CLEARLY_WORSE = 1.3;
/** The other processes are busy when the threads together get less than this share of their cores. */
const UNDISTURBED = 0.85;
/** Steps for which another number of threads is tried. */
const TRIAL_STEPS = 4;
/** Compute time until the next trial, at first and at most: it doubles as long as trials change nothing. */
const FIRST_INTERVAL_MS = 100;
const LONGEST_INTERVAL_MS = 30_000;
/** Share of a request's compute time that trials may cost. */
const TRIAL_SHARE = 0.02;
/** Weight of the newest step in the averages. */
const NEWEST = 1 / 8;

/** A step that takes this long in milliseconds is always asked how many cores it had; of quicker ones, one of so many. */
const LONG_STEP_MS = 10;
const ASKED_OF = 8;

/** How long a step took. */
export interface StepTime {
  readonly ms: number;
  /** Processor time of the whole process during the step; absent where it was not asked for, or tells nothing. */
  readonly cpuMs?: number;
}

/** Times a step. */
export class StepTimer {
  readonly #startMs = performance.now();
  readonly #startCpuMs: number | undefined;

  /** @param options.cores Whether processor time is of use; to ask for it costs some microseconds. */
  constructor({ cores }: { readonly cores: boolean }) {
    this.#startCpuMs = cores ? cpuMs() : undefined;
  }

  /** How long it took. */
  stop(): StepTime {
    const ms = performance.now() - this.#startMs;
    return this.#startCpuMs === undefined ? { ms } : { ms, cpuMs: cpuMs() - this.#startCpuMs };
  }
}

/** Processor time that this process has used, all its threads. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** What is known of steps of one size. */
interface Experience {
  /** Index into the choices. */
  current: number;
  /** Milliseconds per token with the current choice, a moving average; 0: there was no step yet. */
  cost: number;
  /** Cores that the threads really had, a moving average. */
  cores: number;
  /** Index of the choice on trial. */
  trial: number | undefined;
  trialSteps: number;
  trialCost: number;
  /** How much slower the last trial of more threads was, in milliseconds per token. */
  waste: number;
  untilTrialMs: number;
  intervalMs: number;
}

/**
 * Chooses the number of threads for each step, and learns from how long it took.
 *
 * It begins with the number it is given. Fewer threads are tried only when those there are do not get their cores, so
 * never on an idle machine; more are tried from time to time. A step is used for a trial only if what that may cost is at
 * most {@linkcode TRIAL_SHARE} of the compute time since the last trial and since the youngest request began: so no
 * request pays more than that share.
 */
export class ThreadGovernor {
  readonly #choices: readonly number[];
  readonly #kinds: readonly Experience[];
  /** Compute time that pays for trials; negative after one that was dearer than expected. */
  #earnedMs = 0;
  /** The step under way is part of a trial. */
  #trying = false;
  #steps = 0;
  #asks = true;

  /**
   * @param most Threads there are at most.
   * @param first Threads to begin with, for steps of at least this many tokens.
   */
  constructor(most: number, first: (tokens: number) => number) {
    const choices: number[] = [];
    for (let threads = 1; threads < most; threads *= 2) choices.push(threads);
    this.#choices = [...choices, most];
    this.#kinds = SIZES.map((_, kind) => ({
      current: this.#choices.indexOf(first((SIZES[kind - 1] ?? 0) + 1)),
      cost: 0,
      cores: 0,
      trial: undefined,
      trialSteps: 0,
      trialCost: 0,
      waste: 0,
      untilTrialMs: FIRST_INTERVAL_MS,
      intervalMs: FIRST_INTERVAL_MS,
    }));
  }

  /** A request begins: it pays only for trials that its own compute time has earned. */
  beginRequest(): void {
    this.#earnedMs = Math.min(this.#earnedMs, 0);
  }

  /** Threads for a step of this many tokens. */
  choose(tokens: number): number {
    const kind = this.#kind(tokens);
    kind.trial ??= this.#nextTrial(kind);
    this.#trying = kind.trial !== undefined &&
      this.#mayCost(kind, kind.trial) * tokens <= this.#earnedMs * TRIAL_SHARE;
    this.#asks = kind.cost === 0 || kind.cost * tokens >= LONG_STEP_MS || this.#steps++ % ASKED_OF === 0;
    return this.#choices[this.#trying ? kind.trial as number : kind.current] as number;
  }

  /** Whether it is of use to know the processor time of the step that threads were last chosen for. */
  get asksForCores(): boolean {
    return this.#asks;
  }

  /** Record how long a step of this many tokens took with the threads last chosen for its size. */
  learn(tokens: number, { ms, cpuMs }: StepTime): void {
    const kind = this.#kind(tokens);
    const cost = ms / tokens;
    this.#earnedMs += ms;
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
    // As long as nothing tells otherwise, the threads get their cores.
    if (cpuMs !== undefined) kind.cores += (cpuMs / Math.max(ms, 0.001) - kind.cores) * weight;
    else if (weight === 1) kind.cores = this.#choices[kind.current] as number;
    kind.untilTrialMs -= ms;
  }

  #kind(tokens: number): Experience {
    return this.#kinds[SIZES.findIndex((largest) => tokens <= largest)] as Experience;
  }

  /** The choice that is worth a trial now. */
  #nextTrial(kind: Experience): number | undefined {
    const { current, cost, cores, untilTrialMs } = kind;
    if (cost === 0 || untilTrialMs > 0) return undefined;
    const disturbed = cores < (this.#choices[current] as number) * UNDISTURBED;
    // Threads that lack cores gain nothing from more threads.
    const next = disturbed ? current - 1 : current + 1;
    if (this.#choices[next] === undefined) return undefined;
    kind.trialSteps = 0;
    kind.trialCost = 0;
    return next;
  }

  /** Milliseconds per token that a step of a trial may cost more than one with the current choice. */
  #mayCost(kind: Experience, trial: number): number {
    const threads = this.#choices[trial] as number;
    const current = this.#choices[kind.current] as number;
    // More threads are likely to be as bad as the last time.
    if (threads > current) return Math.max(kind.cost, kind.waste);
    // Fewer threads do the same work on the cores they get.
    return kind.cost * Math.max(0, Math.min(kind.cores, current) / threads - 1);
  }

  #endTrial(kind: Experience, trial: number): void {
    if (kind.trialCost < kind.cost * CLEARLY_BETTER) {
      this.#move(kind, trial);
      kind.intervalMs = FIRST_INTERVAL_MS;
    } else {
      if (trial > kind.current) kind.waste = Math.max(0, kind.trialCost - kind.cost);
      kind.intervalMs = Math.min(kind.intervalMs * 2, LONGEST_INTERVAL_MS);
    }
    kind.trial = undefined;
    kind.untilTrialMs = kind.intervalMs;
  }

  /**
   * Threads wait for each other once in every operation, however large the step is: more threads that pay for a small
   * step pay for a larger one, which can rarely afford a trial of its own.
   */
  #move(kind: Experience, to: number): void {
    const at = this.#kinds.indexOf(kind);
    const upwards = to > kind.current;
    for (const [i, other] of this.#kinds.entries()) {
      if (i !== at && (upwards ? i < at || other.current >= to : i > at || other.current <= to)) continue;
      other.current = to;
      other.cost = 0;
      other.trial = undefined;
    }
  }
}
