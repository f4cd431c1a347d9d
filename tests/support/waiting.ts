/**
 * The only timers of the tests. A test awaits an event or moves a clock of its own; what is here is for the rest: state
 * of other processes, files and the kernel, which changes without telling.
 */

// Taken before a test fakes them.
const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;

/** How long a test waits for what has to happen before it says that it did not, in milliseconds. */
const PATIENCE_MS = 60_000;
const TICK_MS = 1000;

/**
 * Look until there is something.
 *
 * @param what What is waited for, or what is known about it by then; for the error.
 * @param look Returns what is waited for; `undefined` or `false`: not yet.
 * @param everyMs Time between two looks.
 * @throws {Error} If it does not come within a minute.
 */
export async function eventually<Found>(
  what: string | (() => string),
  look: () => Found | false | undefined | Promise<Found | false | undefined>,
  { everyMs = 10, patienceMs = PATIENCE_MS }: { readonly everyMs?: number; readonly patienceMs?: number } = {},
): Promise<Found> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() >= end) throw new Error(tooLong(what, patienceMs));
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/**
 * Wait for a promise that a fault would leave pending forever.
 *
 * @param what What is waited for; for the error.
 * @throws {Error} If it does not settle within a minute; time for which this process was stopped does not count.
 */
export async function inTime<Value>(what: string, promise: Promise<Value>): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  let waitedMs = 0;
  const timer = setInterval(() => {
    waitedMs += TICK_MS;
    if (waitedMs >= PATIENCE_MS) reject(new Error(tooLong(what, PATIENCE_MS)));
  }, TICK_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearInterval(timer);
  }
}

/** Call a function after a time, unless the result is disposed of before. */
export function watchdog(run: () => void, ms: number): Disposable {
  const timer = setTimeout(run, ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Resolves when everything that is due has had its turn. */
export async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Call a function at each turn until the result is disposed of. */
export function everyTurn(run: () => void): Disposable {
  let timer: ReturnType<typeof setTimeout>;
  const turn = (): void => {
    run();
    timer = setTimeout(turn, 0);
  };
  turn();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Keep this process alive until it is killed. */
export async function stayAlive(): Promise<never> {
  setInterval(() => {}, 1_000_000);
  return await new Promise(() => {});
}

function tooLong(what: string | (() => string), ms: number): string {
  return `Waited ${ms / 1000} s for ${typeof what === "string" ? what : what()}`;
}
