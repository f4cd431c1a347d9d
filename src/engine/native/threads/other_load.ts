/** How many cores the other processes of this machine use. Linux only. */

/** Where the kernel counts the time of all cores, and in how many units a second. */
const STAT = "/proc/stat";
const TICKS_PER_SECOND = 100;
/** The counters of the first line that are time in use: user, nice, system, irq, softirq and steal. */
const IN_USE = [1, 2, 3, 6, 7, 8] as const;

export interface OtherLoadOptions {
  /** Text of `/proc/stat`, or at least its first line. */
  readonly read: () => string;
  /** CPU time of this process so far, in milliseconds. */
  readonly ownMs: () => number;
  readonly now?: () => number;
}

interface Reading {
  readonly at: number;
  /** CPU time of all others so far, in milliseconds. */
  readonly othersMs: number;
}

export class OtherLoad {
  readonly #options: OtherLoadOptions;
  readonly #now: () => number;
  #last: Reading;

  constructor(options: OtherLoadOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
    this.#last = this.#reading();
  }

  /** Average number of cores that other processes used since the last call. */
  cores(): number {
    const before = this.#last;
    this.#last = this.#reading();
    return Math.max(0, this.#last.othersMs - before.othersMs) / Math.max(1, this.#last.at - before.at);
  }

  #reading(): Reading {
    const counters = this.#options.read().split("\n", 1)[0]?.trim().split(/\s+/) ?? [];
    const ticks = IN_USE.reduce((sum, at) => sum + Number(counters[at] ?? 0), 0);
    return { at: this.#now(), othersMs: ticks * 1000 / TICKS_PER_SECOND - this.#options.ownMs() };
  }
}

/**
 * Opens the counters, which stay open when permissions are given back.
 *
 * @returns `undefined` where there are none.
 */
export function openOtherLoad(ownMs: () => number): OtherLoad | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const file = Deno.openSync(STAT);
    const buffer = new Uint8Array(256);
    const decoder = new TextDecoder();
    const read = (): string => {
      file.seekSync(0, Deno.SeekMode.Start);
      return decoder.decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
    };
    return new OtherLoad({ read, ownMs });
  } catch {
    return undefined; // hidden in some containers
  }
}
