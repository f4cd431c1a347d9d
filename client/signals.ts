/**
 * Shares one listener among many requests with the same signal: Node warns of a leak when a signal has more than ten.
 */

const LISTENERS = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Call a function when a signal is aborted.
 *
 * @param signal The signal; absent: nothing is ever called.
 * @param listener Called once; not for a signal that is aborted already.
 * @returns Removes the listener.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined || signal.aborted) return () => {};
  let listeners = LISTENERS.get(signal);
  if (listeners === undefined) LISTENERS.set(signal, listeners = new Set());
  const all = listeners;
  const call = (): void => {
    for (const each of [...all]) each();
    all.clear();
  };
  if (all.size === 0) {
    signal.addEventListener("abort", call, { once: true });
    CALLS.set(signal, call);
  }
  all.add(listener);
  return () => {
    if (!all.delete(listener) || all.size > 0) return;
    const last = CALLS.get(signal);
    if (last !== undefined) signal.removeEventListener("abort", last);
  };
}

/** The shared listener of each signal. */
const CALLS = new WeakMap<AbortSignal, () => void>();
