/**
 * Supervises the HTTP bridge, a process of its own: started and stopped with the daemon and restarted when it exits by
 * itself. The bridge holds the read end of a pipe whose write end the monitor holds, so it also exits when the monitor
 * is killed.
 */
import { delay } from "@std/async";
import type { ActivityLog } from "../log/log.ts";
import type { Child } from "../processes/monitor_link.ts";

/** Restart delay in milliseconds; doubles up to the limit. */
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;

/** A bridge that ran at least this long, in milliseconds, counts as started successfully. */
const SETTLED_MS = 60_000;

/** Grace period in milliseconds before the bridge is killed. */
const END_MS = 12_000;

/** A running bridge. */
export type Bridge = Omit<Child, "number">;

/** Dependencies and overrides. */
export interface HttpProcessOptions {
  readonly log: ActivityLog;
  /** For tests; default: {@linkcode FIRST_DELAY_MS}. */
  readonly firstDelayMs?: number;
}

/** Keeps a bridge running. Disposal stops it. */
export class HttpProcess implements AsyncDisposable {
  readonly #startBridge: () => Bridge;
  readonly #log: ActivityLog;
  readonly #firstDelayMs: number;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #bridge: Bridge | undefined;

  constructor(startBridge: () => Bridge, { log, firstDelayMs = FIRST_DELAY_MS }: HttpProcessOptions) {
    this.#startBridge = startBridge;
    this.#log = log.for("http");
    this.#firstDelayMs = firstDelayMs;
    this.#bridge = this.#start();
    this.#ended = this.#keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const bridge = this.#bridge;
    if (bridge !== undefined) {
      bridge.end();
      const late = setTimeout(() => bridge.kill(), END_MS);
      await this.#ended;
      clearTimeout(late);
    }
    await this.#ended;
  }

  #start(): Bridge {
    const bridge = this.#startBridge();
    void bridge.started.then((pid) => this.#log.info("http_started", { pid }));
    return bridge;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ending;
    let pause = this.#firstDelayMs;
    while (this.#bridge !== undefined) {
      const startedAt = performance.now();
      const { code, notStarted } = await this.#bridge.exited;
      this.#bridge = undefined;
      if (signal.aborted) return;
      if (performance.now() - startedAt > SETTLED_MS) pause = this.#firstDelayMs;
      const reason = notStarted === undefined ? {} : { reason: notStarted.message };
      this.#log.warn("http_restarting", { code, ...reason, in_ms: pause });
      await delay(pause, { signal }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_DELAY_MS);
      if (!signal.aborted) this.#bridge = this.#start();
    }
  }
}
