/**
 * Rate limit for log records by caller: one token bucket each. Excess records are only counted, so that a caller that
 * is constantly rejected cannot rotate out everybody else's records.
 */

export const BURST_RECORDS = 100;
/** Sustained rate per caller, in records per second. */
const RECORDS_PER_SEC = 10;
/** Maximum delay of the report after the first dropped record, in milliseconds. */
const TELL_MS = 10_000;
/** Maximum number of tracked callers; the least recently active are forgotten. */
const MAX_CALLERS = 4096;

interface Bucket {
  tokens: number;
  at: number;
  dropped: number;
}

export interface CallerRateOptions {
  /** Called with the number of dropped records of a caller. */
  readonly onDropped: (caller: string, records: number) => void;
  /** Monotonic clock in milliseconds. Default: the process's. */
  readonly now?: () => number;
}

/** Buckets of all callers. Disposal reports pending counts. */
export class CallerRate implements Disposable {
  readonly #options: CallerRateOptions;
  readonly #now: () => number;
  /** Least recently active first. */
  readonly #buckets = new Map<string, Bucket>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CallerRateOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
  }

  /** Whether the caller may log another record; if not, it is counted. */
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
