/**
 * How many threads compute: what the machine grants this process, and how many of those a step is best done with. That
 * is not known beforehand: threads of one step wait for each other spinning, so with a small model, or on a machine where
 * others work too, more threads may be much slower.
 */

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

/** Steps of alike size are compared: one token, a few, some, a piece of a prompt. The largest of each kind. */
const SIZES = [1, 4, 16, Infinity] as const;
/** Another number of threads has to be this much better to be taken. */
const CLEARLY_BETTER = 0.9;
/** At this much worse a trial is over, and a choice is doubted. */
const CLEARLY_WORSE = 1.3;
/** Steps another number of threads is tried for. */
const TRIAL_STEPS = 4;
/** Milliseconds of work until another number is tried, at first and at most: the longer a choice holds, the rarer. */
const FIRST_INTERVAL_MS = 100;
const LONGEST_INTERVAL_MS = 30_000;
/** Of the time, what trials may cost: on a busy machine a single step with too many threads may take a second. */
const TRIAL_SHARE = 0.05;
/** Weight of the newest step in what is known of a choice. */
const NEWEST = 1 / 8;

/** What is known of steps of one size. */
interface Experience {
  /** Index into the choices. */
  current: number;
  /** Milliseconds per token with the current choice, lately, and when it was last compared. */
  cost: number;
  comparedCost: number;
  /** Index of the choice on trial. */
  trial: number | undefined;
  trialSteps: number;
  trialCost: number;
  trialMs: number;
  untilTrialMs: number;
  intervalMs: number;
  /** Whether more threads are tried next, or fewer. */
  upwards: boolean;
}

/** Chooses the number of threads for each step, and learns from how long it took. */
export class ThreadGovernor {
  readonly #choices: readonly number[];
  readonly #kinds: readonly Experience[];

  /**
   * @param most Threads there are at most.
   * @param first Threads to begin with: with one, nothing can go very wrong; a large model cannot wait.
   */
  constructor(most: number, first: number) {
    const choices: number[] = [];
    for (let threads = 1; threads < most; threads *= 2) choices.push(threads);
    this.#choices = [...choices, most];
    this.#kinds = SIZES.map(() => ({
      current: this.#choices.indexOf(first),
      cost: 0,
      comparedCost: 0,
      trial: undefined,
      trialSteps: 0,
      trialCost: 0,
      trialMs: 0,
      untilTrialMs: FIRST_INTERVAL_MS,
      intervalMs: FIRST_INTERVAL_MS,
      upwards: false,
    }));
  }

  /** Threads for a step of so many tokens. */
  choose(tokens: number): number {
    const kind = this.#kind(tokens);
    if (kind.trial === undefined && kind.untilTrialMs <= 0 && this.#choices.length > 1) this.#beginTrial(kind);
    return this.#choices[kind.trial ?? kind.current] as number;
  }

  /** A step of so many tokens took so long with the threads last chosen for its size. */
  learn(tokens: number, ms: number): void {
    const kind = this.#kind(tokens);
    const cost = ms / tokens;
    if (kind.trial === undefined) {
      kind.untilTrialMs -= ms;
      kind.cost = kind.cost === 0 ? cost : kind.cost + (cost - kind.cost) * NEWEST;
      // Somebody else has begun to work: then fewer threads may be better, more will not.
      if (kind.current > 0 && kind.comparedCost > 0 && kind.cost > kind.comparedCost * CLEARLY_WORSE) {
        kind.untilTrialMs = 0;
        kind.upwards = false;
      }
      return;
    }
    kind.trialSteps++;
    kind.trialMs += ms;
    kind.trialCost += (cost - kind.trialCost) / kind.trialSteps;
    if (kind.trialSteps >= TRIAL_STEPS || kind.trialCost > kind.cost * CLEARLY_WORSE) this.#endTrial(kind, kind.trial);
  }

  #kind(tokens: number): Experience {
    return this.#kinds[SIZES.findIndex((largest) => tokens <= largest)] as Experience;
  }

  #beginTrial(kind: Experience): void {
    const last = this.#choices.length - 1;
    if (kind.current === 0) kind.upwards = true;
    if (kind.current === last) kind.upwards = false;
    kind.trial = kind.current + (kind.upwards ? 1 : -1);
    kind.upwards = !kind.upwards;
    kind.trialSteps = 0;
    kind.trialCost = 0;
    kind.trialMs = 0;
  }

  #endTrial(kind: Experience, trial: number): void {
    if (kind.trialCost < kind.cost * CLEARLY_BETTER) {
      kind.current = trial;
      kind.cost = kind.trialCost;
      kind.intervalMs = FIRST_INTERVAL_MS;
    } else {
      const wasted = kind.trialMs * Math.max(0, 1 - kind.cost / kind.trialCost);
      kind.intervalMs = Math.min(Math.max(kind.intervalMs * 2, wasted / TRIAL_SHARE), LONGEST_INTERVAL_MS);
    }
    kind.comparedCost = kind.cost;
    kind.trial = undefined;
    kind.untilTrialMs = kind.intervalMs;
  }
}
