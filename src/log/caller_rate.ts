/**
 * How many records one caller may cause at will: a token bucket for each. What is beyond it is counted, so that a caller
 * that is refused all the time cannot rotate everybody else's records away.
 */

/** Records that a caller may cause at once. */
export const BURST_RECORDS = 100;
/** Records a second that a caller may cause all the time. */
const RECORDS_PER_SEC = 10;
/** After the first record that is dropped, the count is told within this time, in milliseconds. */
const TELL_MS = 10_000;
/** Callers that are remembered; those that have caused nothing for longest are forgotten. */
const MAX_CALLERS = 4096;

interface Bucket {
  tokens: number;
  at: number;
  dropped: number;
}

/** What it is made of. */
export interface CallerRateOptions {
  /** Told how many records of a caller were dropped. */
  readonly onDropped: (caller: string, records: number) => void;
  /** Milliseconds of a clock that never goes back. Absent: the process's. */
  readonly now?: () => number;
}

/** The buckets of all callers. Disposing of it tells what has not been told. */
export class CallerRate implements Disposable {
  readonly #options: CallerRateOptions;
  readonly #now: () => number;
  /** Those that have caused nothing for longest first. */
  readonly #buckets = new Map<string, Bucket>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CallerRateOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
  }

  /** Whether a caller may cause another record; if not, it is counted. */
  take(caller: string): boolean {
    const now = this.#now();
    const bucket = this.#buckets.get(caller) ?? { tokens: BURST_RECORDS, at: now, dropped: 0 };
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    bucket.tokens = Math.min(BURST_RECORDS, bucket.tokens + (now - bucket.at) * RECORDS_PER_SEC / 1000);
    bucket.at = now;
    if (this.#buckets.size > MAX_CALLERS) this.#forgetOne();
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return true;
    }
    bucket.dropped++;
    this.#timer ??= setTimeout(() => this.#tellAll(), TELL_MS);
    return false;
  }

  [Symbol.dispose](): void {
    this.#tellAll();
  }

  #forgetOne(): void {
    const [first] = this.#buckets;
    if (first === undefined) return;
    this.#tell(...first);
    this.#buckets.delete(first[0]);
  }

  #tellAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [caller, bucket] of this.#buckets) this.#tell(caller, bucket);
  }

  #tell(caller: string, bucket: Bucket): void {
    if (bucket.dropped > 0) this.#options.onDropped(caller, bucket.dropped);
    bucket.dropped = 0;
  }
}
