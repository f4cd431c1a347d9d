/** How the daemon ends, whatever it ends by; the numbers are those of "Boot and drain" in docs/operations.md. */
import type { StatusBoard } from "../admin/status.ts";
import type { ActivityLog } from "../log/log.ts";

/** What the end needs. */
export interface EndOptions {
  readonly board: StatusBoard;
  readonly log: ActivityLog;
  /** Everything that was built; disposed of. */
  readonly built: AsyncDisposableStack;
  /** Stop what serves, and let what runs finish until `cut` fires. */
  readonly drain: (cut: AbortSignal) => Promise<void>;
  readonly drainTimeoutSecs: number;
  /** Why it ends; absent: it was asked to. */
  readonly failure?: unknown;
}

/**
 * End the daemon.
 *
 * @throws The failure it was called with, or that of a step; with further ones an `AggregateError`.
 */
export async function endDaemon({ board, log, built, drain, drainTimeoutSecs, ...end }: EndOptions): Promise<void> {
  let { failure } = end;
  // 10 `draining`: no new request, running ones finish in time or are cut
  board.draining();
  if (failure !== undefined) log.error("failed", { reason: textOf(failure) });
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(), drainTimeoutSecs * 1000);
  try {
    await drain(cut.signal);
  } catch (error) {
    failure ??= error;
  } finally {
    clearTimeout(timer);
  }
  // 11 engines stopped, sockets and pid file removed
  log.info("stopped");
  await disposeAll(built, failure);
  if (failure !== undefined) throw failure;
}

/**
 * Dispose of everything, the last first, also past what fails.
 *
 * @param failure Why, if something failed before; it is thrown with what fails here.
 * @throws {AggregateError} If something cannot be disposed of.
 */
export async function disposeAll(built: AsyncDisposableStack, failure?: unknown): Promise<void> {
  try {
    await built.disposeAsync();
  } catch (error) {
    const errors = errorsOf(error);
    if (failure !== undefined) errors.unshift(failure);
    throw new AggregateError(errors, `Could not clean up: ${errors.map(textOf).join("; ")}`);
  }
}

/** What a failure says, without its stack. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** In the order in which they were thrown. */
function errorsOf(error: unknown): unknown[] {
  return error instanceof SuppressedError ? [...errorsOf(error.suppressed), error.error] : [error];
}
