/**
 * Supervises the HTTP bridge, a process of its own: started and stopped with the daemon and restarted when it exits by
 * itself. The bridge holds the read end of a pipe whose write end its parent holds (the monitor, or a daemon without
 * one), so it also exits when the parent is killed.
 */
import { delay } from "@std/async";
import type { ActivityLog } from "../log/log.ts";
import type { MonitorLink } from "../processes/monitor_link.ts";
import type { HttpCommand } from "./http_command.ts";
import { typed } from "../config/setting/typed_command.ts";

/** Restart delay in milliseconds; doubles up to the limit. */
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;

/** A bridge that ran at least this long, in milliseconds, counts as started successfully. */
const SETTLED_MS = 60_000;

/** Grace period in milliseconds before the bridge is killed. */
const END_MS = 12_000;

/** A running bridge. */
export interface Bridge {
  readonly pid: Promise<number>;
  readonly exited: Promise<{ readonly code: number; readonly notStarted?: Error }>;
  /** Ask it to exit. */
  end(): void;
  kill(): void;
}

/** Starts bridges. */
export interface BridgeStarter {
  start(): Bridge;
  /** Whether starting is still permitted. */
  readonly mayStart: boolean;
}

/** Bridges started by the monitor. */
export function monitoredBridges(link: MonitorLink): BridgeStarter {
  return {
    mayStart: true,
    start: () => {
      // Its output goes where the monitor's goes.
      const child = link.start("http", link.nextNumber(), () => {});
      return { pid: child.started, exited: child.exited, end: () => child.end(), kill: () => child.kill() };
    },
  };
}

/** Bridges started by this process. */
export function ownBridges({ command, args, env }: HttpCommand): BridgeStarter {
  return {
    get mayStart(): boolean {
      return Deno.permissions.querySync({ name: "run", command }).state === "granted";
    },
    start: () => {
      const child = new Deno.Command(command, {
        args: [...args],
        env,
        stdin: "piped",
        stdout: "inherit",
        stderr: "inherit",
      }).spawn();
      const closeInput = (): Promise<void> => child.stdin.close().catch(() => {});
      return {
        pid: Promise.resolve(child.pid),
        exited: child.status.finally(closeInput),
        end: () => {
          // Windows has no signal a process can handle; EOF on stdin is enough there.
          if (Deno.build.os !== "windows") signal(child, "SIGTERM");
          void closeInput();
        },
        kill: () => signal(child, "SIGKILL"),
      };
    },
  };
}

/** Dependencies and overrides. */
export interface HttpProcessOptions {
  readonly log: ActivityLog;
  /** For tests; default: {@linkcode FIRST_DELAY_MS}. */
  readonly firstDelayMs?: number;
}

/** Keeps a bridge running. Disposal stops it. */
export class HttpProcess implements AsyncDisposable {
  readonly #starter: BridgeStarter;
  readonly #log: ActivityLog;
  readonly #firstDelayMs: number;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #bridge: Bridge | undefined;

  /**
   * @param starter Starts it, immediately: the permission may be dropped right afterwards.
   * @param options Dependencies and overrides.
   */
  constructor(starter: BridgeStarter, { log, firstDelayMs = FIRST_DELAY_MS }: HttpProcessOptions) {
    this.#starter = starter;
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
    const bridge = this.#starter.start();
    void bridge.pid.then((pid) => this.#log.info("http_started", { pid }));
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
      if (!this.#starter.mayStart) {
        this.#log.error("http_lost", {
          code,
          reason:
            "The HTTP bridge exited, and this daemon has dropped the permission to start it: restart the daemon, or " +
            `start "${typed("http")}"`,
        });
        return;
      }
      if (performance.now() - startedAt > SETTLED_MS) pause = this.#firstDelayMs;
      const reason = notStarted === undefined ? {} : { reason: notStarted.message };
      this.#log.warn("http_restarting", { code, ...reason, in_ms: pause });
      await delay(pause, { signal }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_DELAY_MS);
      if (!signal.aborted) this.#bridge = this.#start();
    }
  }
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // It has exited already.
  }
}
