/** Retries with back-off until a daemon is available, up to a timeout. */
import { ClientClosedError, InferdError, TimeoutError, withCallerStack } from "./errors/errors.ts";
import { FIRST_BACKOFF_MS, MOST_BACKOFF_MS } from "./options.ts";
import { onAbort } from "./signals.ts";

/** Maximum delay of a timer, in milliseconds; longer waits have no timeout. */
export const MOST_TIMER_MS = 2 ** 31 - 1;

/** Options of a wait. */
export interface PatienceOptions {
  /** The awaited thing, for the message. */
  readonly what: string;
  /** In milliseconds. */
  readonly timeoutMs: number;
  /** Cancels the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Aborted when the waiting client is closed; absent without a client. */
  readonly closing?: AbortSignal | undefined;
  /** Created in the call, for the stack traces of errors. */
  readonly call: Error;
}

/**
 * Run something with a timeout and cancellation; it has to settle soon after its signal is aborted.
 *
 * @throws {TimeoutError} If time runs out.
 * @throws {ClientClosedError} If the client is closed, or was.
 * @throws The signal's reason, or what `act` threw.
 */
export async function within<T>(act: (signal: AbortSignal) => Promise<T>, options: PatienceOptions): Promise<T> {
  const { what, timeoutMs, signal, closing } = options;
  const closed = (): ClientClosedError => new ClientClosedError(`Cannot ${what}: the client was closed`);
  signal?.throwIfAborted();
  if (closing?.aborted) throw withCallerStack(closed(), options.call);
  const cut = new AbortController();
  const giveUp = (): void => cut.abort(signal?.reason);
  const close = (): void => cut.abort(closed());
  const forget = [onAbort(signal, giveUp), onAbort(closing, close)];
  const timer = timeoutMs > MOST_TIMER_MS
    ? undefined
    : setTimeout(() => cut.abort(new TimeoutError(`Cannot ${what} within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await act(cut.signal);
  } catch (error) {
    throw withCallerStack(cut.signal.aborted ? cut.signal.reason : error, options.call);
  } finally {
    clearTimeout(timer);
    for (const each of forget) each();
  }
}

/**
 * Retry with back-off until it succeeds. Only `retryable` failures are retried. With 0 ms there is one attempt, and its
 * failure is thrown as it is.
 *
 * @param attempt Has to settle soon after its signal is aborted.
 * @throws {TimeoutError} If time runs out; its cause is the last failure.
 * @throws {ClientClosedError} If the client is closed, or was.
 * @throws The signal's reason, or a failure that waiting does not mend.
 */
export async function persist<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  options: PatienceOptions,
): Promise<T> {
  if (options.timeoutMs === 0) return await within(attempt, { ...options, timeoutMs: Infinity });
  let last: unknown;
  try {
    return await within(async (signal) => {
      for (let waitMs = FIRST_BACKOFF_MS;; waitMs = Math.min(waitMs * 2, MOST_BACKOFF_MS)) {
        try {
          return await attempt(signal);
        } catch (error) {
          if (signal.aborted || !(error instanceof InferdError) || !error.retryable) throw error;
          last = error;
        }
        await pause(waitMs, signal);
      }
    }, options);
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof TimeoutError) || last === undefined) throw error;
    const why = last instanceof Error ? `: ${last.message}` : "";
    throw withCallerStack(new TimeoutError(`${error.message}${why}`, { cause: last }), options.call);
  }
}

/** @throws The signal's reason, if it was aborted. */
export function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const giveUp = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", giveUp);
      resolve();
    }, waitMs);
    signal.addEventListener("abort", giveUp, { once: true });
  });
}
