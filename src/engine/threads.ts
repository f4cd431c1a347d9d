/**
 * How many threads compute: what the machine grants this process, and how many of them are worth it for a model.
 */
import type { Context } from "./context.ts";

/** Further threads have to bring this much, or they are left to the daemon and its clients. */
const WORTH_A_FACTOR = 1.15;
/** A model whose token takes longer than this is large enough for every thread to be worth it. */
const LARGE_MODEL_MS = 20;
const TRIALS = 4;

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

/** Threads for batches of one token, and for larger ones. */
export interface Threads {
  readonly single: number;
  readonly several: number;
}

/**
 * Try out how many threads make a step fastest; takes well under 100 ms. A small model does not gain by more.
 *
 * @param most Threads there are.
 * @param width Tokens of a typical larger batch.
 */
export function calibrateThreads(context: Context, most: number, width: number): Threads {
  const choose = (tokens: number): number => {
    let best = 1;
    let bestMs = Infinity;
    for (let threads = most; threads >= 1; threads = Math.floor(threads / 2)) {
      context.setThreads(threads, threads);
      const ms = stepMs(context, tokens);
      if (threads === most && ms > LARGE_MODEL_MS) return most;
      // From many to few: fewer win unless they are clearly slower.
      if (ms < bestMs * WORTH_A_FACTOR) {
        best = threads;
        bestMs = Math.min(ms, bestMs);
      }
    }
    return best;
  };
  const single = choose(1);
  const several = width > 1 ? choose(width) : single;
  context.setThreads(single, several);
  context.clear();
  return { single, several };
}

/** The fastest of a few steps; the slower ones were disturbed. */
function stepMs(context: Context, tokens: number): number {
  let fastest = Infinity;
  for (let trial = 0; trial < TRIALS; trial++) {
    context.clear();
    for (let at = 0; at < tokens; at++) context.put(at, 0, at, true);
    const started = performance.now();
    context.decode();
    fastest = Math.min(fastest, performance.now() - started);
  }
  return fastest;
}
