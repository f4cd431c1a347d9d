/** How many cores of this machine are idle or already this process's: what others leave to it. Linux only. */
import { kernelFiles } from "../libc/kernel_files.ts";

/** Where the kernel counts the time of all cores, and in how many units a second. */
const STAT = "/proc/stat";
const TICKS_PER_SECOND = 100;
/** The counters of the first line that are time without work: idle and iowait. */
const IDLE = [4, 5] as const;

export interface FreeCoresOptions {
  /** Text of `/proc/stat`, or at least its first line. */
  readonly read: () => string;
  /** CPU time of this process so far, in milliseconds. */
  readonly ownMs: () => number;
  readonly now?: () => number;
}

interface Reading {
  readonly at: number;
  /** Time that cores were idle or worked for this process so far, in milliseconds. */
  readonly freeMs: number;
}

export class FreeCores {
  readonly #options: FreeCoresOptions;
  readonly #now: () => number;
  #last: Reading;

  constructor(options: FreeCoresOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
    this.#last = this.#reading();
  }

  /** Average number of cores that other processes left since the last call. */
  cores(): number {
    const before = this.#last;
    this.#last = this.#reading();
    return (this.#last.freeMs - before.freeMs) / Math.max(1, this.#last.at - before.at);
  }

  #reading(): Reading {
    const counters = this.#options.read().split("\n", 1)[0]?.trim().split(/\s+/) ?? [];
    const ticks = IDLE.reduce((sum, at) => sum + Number(counters[at] ?? 0), 0);
    return { at: this.#now(), freeMs: ticks * 1000 / TICKS_PER_SECOND + this.#options.ownMs() };
  }
}

/**
 * Opens the counters, which stay open when permissions are given back.
 *
 * @returns `undefined` where there are none.
 */
export function openFreeCores(ownMs: () => number): FreeCores | undefined {
  const stat = kernelFiles()?.open(STAT);
  if (stat === undefined) return undefined;
  const decoder = new TextDecoder();
  return new FreeCores({ read: () => decoder.decode(stat()), ownMs });
}
