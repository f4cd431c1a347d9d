/** Downloads in progress, each shared by all clients that ask for the same model. */
import { abortable } from "@std/async";
import { ApiError } from "../http/api_error.ts";
import type { PullLine } from "../http/model_store.ts";

/** Most downloads at a time. */
export const MOST_PULLS = 4;

/** Starts a download; rejects if it fails, or with the signal's reason. */
export type StartPull = (reference: string, tell: (line: PullLine) => void, signal: AbortSignal) => Promise<void>;

class Shared {
  /** All lines so far; progress replaces the line before. */
  readonly lines: PullLine[] = [];
  readonly stop = new AbortController();
  followers = 0;
  outcome: { readonly error?: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /** Resolves at the next change. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  readonly tell = (line: PullLine): void => {
    if (this.lines.at(-1)?.status === line.status) this.lines.pop();
    this.lines.push(line);
    this.#change();
  };

  end(outcome: { readonly error?: unknown }): void {
    this.outcome = outcome;
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** Shares downloads. Disposal aborts them. */
export class SharedPulls implements Disposable {
  readonly #start: StartPull;
  readonly #running = new Map<string, Shared>();

  /** @param start Starts a download. */
  constructor(start: StartPull) {
    this.#start = start;
  }

  /**
   * Download, or join a download. When the last caller leaves, it is aborted.
   *
   * @param reference What to download.
   * @param signal Fires when the caller leaves.
   * @returns The progress. A caller that reads slowly misses some of it.
   * @throws {ApiError} 429 if there are too many.
   * @throws The download's error; the signal's reason.
   */
  async *follow(reference: string, signal: AbortSignal): AsyncGenerator<PullLine> {
    const shared = this.#running.get(reference) ?? this.#begin(reference);
    shared.followers++;
    try {
      let last: PullLine | undefined;
      let sent = 0;
      for (;;) {
        const { changed, outcome } = shared;
        // The line sent last may have been replaced.
        const lines = shared.lines.slice(Math.max(0, sent - 1));
        sent = Math.max(0, sent - 1) + lines.length;
        for (const line of lines) if (line !== last) yield last = line;
        if (outcome !== undefined && "error" in outcome) throw outcome.error;
        if (outcome !== undefined) return;
        await abortable(changed, signal);
      }
    } finally {
      shared.followers--;
      if (shared.followers === 0) this.#end(reference, shared);
    }
  }

  [Symbol.dispose](): void {
    for (const [reference, shared] of this.#running) this.#end(reference, shared);
  }

  #begin(reference: string): Shared {
    if (this.#running.size >= MOST_PULLS) {
      throw new ApiError(429, `${MOST_PULLS} downloads are running: wait for one of them`, { code: "queue_full" });
    }
    const shared = new Shared();
    this.#running.set(reference, shared);
    this.#start(reference, shared.tell, shared.stop.signal)
      .then(() => shared.end({}), (error) => shared.end({ error }))
      .finally(() => this.#end(reference, shared));
    return shared;
  }

  /** From now on, whoever asks for it starts another download. */
  #end(reference: string, shared: Shared): void {
    if (this.#running.get(reference) === shared) this.#running.delete(reference);
    shared.stop.abort();
  }
}
