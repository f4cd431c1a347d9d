/**
 * The subset of `@std/testing/time` 1.x this project's tests use, with its names and behaviour: one fake clock at a
 * time, and `tickAsync` lets pending work run once before the clock moves, not between its timers. Stands in only where
 * JSR cannot be reached.
 */

/** Time is faked already, or no longer. */
export class TimeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TimeError";
  }
}

interface Timer {
  readonly due: number;
  readonly everyMs?: number;
  readonly run: () => void;
}

type Callback = (...args: unknown[]) => void;

const real = { Date, setTimeout, clearTimeout, setInterval, clearInterval, abortAfter: AbortSignal.timeout };
let current: FakeTime | undefined;

/** Replaces the clock and the timers until `restore`. */
export class FakeTime {
  readonly start: number;
  #now: number;
  #lastId = 0;
  readonly #timers = new Map<number, Timer>();

  constructor(start?: number | string | Date | null) {
    if (current !== undefined) throw new TimeError("Cannot construct FakeTime: time is already faked");
    this.start = start === undefined || start === null ? real.Date.now() : new real.Date(start).getTime();
    if (Number.isNaN(this.start)) throw new TypeError("Cannot construct FakeTime: invalid start time NaN");
    this.#now = this.start;
    current = this;
    this.#replace();
  }

  get now(): number {
    return this.#now;
  }

  /** Runs what is due until then, in order. */
  set now(value: number) {
    if (value < this.#now) {
      throw new RangeError(
        `Cannot set current time in the past, time must be >= ${this.#now}: received ${value}`,
      );
    }
    for (let next = this.#next(); next !== undefined && next[1].due <= value; next = this.#next()) {
      const [id, timer] = next;
      this.#now = timer.due;
      this.#timers.delete(id);
      if (timer.everyMs !== undefined) this.#timers.set(id, { ...timer, due: timer.due + timer.everyMs });
      timer.run();
    }
    this.#now = value;
  }

  tick(ms = 0): void {
    this.now += ms;
  }

  async tickAsync(ms = 0): Promise<void> {
    await this.runMicrotasks();
    this.now += ms;
  }

  /** Runs the timers that are due next; says whether there were any. */
  next(): boolean {
    const next = this.#next();
    if (next !== undefined) this.now = next[1].due;
    return next !== undefined;
  }

  async nextAsync(): Promise<boolean> {
    await this.runMicrotasks();
    return this.next();
  }

  async runMicrotasks(): Promise<void> {
    await new Promise<void>((resolve) => real.setTimeout.call(globalThis, resolve, 0));
  }

  restore(): void {
    if (current === undefined) throw new TimeError("Cannot restore time: time is already restored");
    current = undefined;
    Object.assign(globalThis, {
      Date: real.Date,
      setTimeout: real.setTimeout,
      clearTimeout: real.clearTimeout,
      setInterval: real.setInterval,
      clearInterval: real.clearInterval,
    });
    AbortSignal.timeout = real.abortAfter;
  }

  [Symbol.dispose](): void {
    this.restore();
  }

  #next(): [number, Timer] | undefined {
    let next: [number, Timer] | undefined;
    for (const entry of this.#timers) if (next === undefined || entry[1].due < next[1].due) next = entry;
    return next;
  }

  #replace(): void {
    const now = (): number => this.#now;
    const set = (callback: Callback, delayMs: number, args: unknown[], repeats: boolean): number => {
      const id = ++this.#lastId;
      const afterMs = Math.max(repeats ? 1 : 0, Math.floor(delayMs));
      const run = (): void => callback(...args);
      this.#timers.set(id, { due: this.#now + afterMs, run, ...(repeats ? { everyMs: afterMs } : {}) });
      return id;
    };
    const setTimeout = (callback: Callback, delayMs = 0, ...args: unknown[]): number =>
      set(callback, delayMs, args, false);
    const clear = (id?: number): void => void (id !== undefined && this.#timers.delete(id));
    Object.assign(globalThis, {
      Date: new Proxy(real.Date, {
        construct: (date, args: unknown[]) => Reflect.construct(date, args.length === 0 ? [now()] : args),
        apply: () => new real.Date(now()).toString(),
        get: (date, name, self) => name === "now" ? now : Reflect.get(date, name, self),
      }),
      setTimeout,
      clearTimeout: clear,
      setInterval: (callback: Callback, delayMs = 0, ...args: unknown[]): number => set(callback, delayMs, args, true),
      clearInterval: clear,
    });
    AbortSignal.timeout = (ms: number): AbortSignal => {
      const aborting = new AbortController();
      setTimeout(() => aborting.abort(new DOMException("Signal timed out.", "TimeoutError")), ms);
      return aborting.signal;
    };
  }
}
