/**
 * Shares one listener among many requests with the same signal: Node warns of a leak when a signal has more than ten.
 */

const SHARED = new WeakMap<AbortSignal, { readonly all: Set<() => void>; readonly call: () => void }>();

/** Call a function once when a signal is aborted, not where it was before. Returns what removes the listener. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined || signal.aborted) return () => {};
  let shared = SHARED.get(signal);
  if (shared === undefined) {
    const all = new Set<() => void>();
    const call = (): void => {
      for (const each of [...all]) each();
      all.clear();
    };
    SHARED.set(signal, shared = { all, call });
  }
  const { all, call } = shared;
  if (all.size === 0) signal.addEventListener("abort", call, { once: true });
  all.add(listener);
  return () => {
    if (all.delete(listener) && all.size === 0) signal.removeEventListener("abort", call);
  };
}
