/** Shutdown of the daemon, whatever the cause; numbers refer to "Boot and drain" in docs/operations.md. */
import type { StatusBoard } from "../admin/status.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";

export interface EndOptions {
  readonly board: StatusBoard;
  readonly log: ActivityLog;
  readonly built: AsyncDisposableStack;
  /** Stops accepting, and lets running requests finish until `cut` fires. */
  readonly drain: (cut: AbortSignal) => Promise<void>;
  readonly drainTimeoutSecs: number;
  /** Cause of the shutdown; absent: requested. */
  readonly failure?: unknown;
}

/** @throws The given failure, or that of a step; several as an `AggregateError`. */
export async function endDaemon({ board, log, built, drain, drainTimeoutSecs, ...end }: EndOptions): Promise<void> {
  let { failure } = end;
  // 10 `draining`: no new request, running ones finish in time or are cut
  board.draining();
  if (failure !== undefined) log.error("failed", { reason: errorText(failure) });
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
 * Dispose of everything in reverse order, continuing past failures.
 *
 * @param failure An earlier failure, to be thrown together with those of disposal.
 * @throws {AggregateError} If disposal fails.
 */
export async function disposeAll(built: AsyncDisposableStack, failure?: unknown): Promise<void> {
  try {
    await built.disposeAsync();
  } catch (error) {
    const errors = errorsOf(error);
    if (failure !== undefined) errors.unshift(failure);
    throw new AggregateError(errors, `Could not clean up: ${errors.map(errorText).join("; ")}`);
  }
}

/** In the order in which they were thrown. */
function errorsOf(error: unknown): unknown[] {
  return error instanceof SuppressedError ? [...errorsOf(error.suppressed), error.error] : [error];
}
