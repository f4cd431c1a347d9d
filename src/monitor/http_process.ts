/**
 * The bridge to HTTP as a process of its own beside the daemon: started with the daemon, ended with it, and started
 * again when it ends by itself. It holds the read end of a pipe whose other end is the daemon's, so that it also ends
 * when the daemon is killed.
 */
import { delay } from "@std/async";
import type { ActivityLog } from "../log/log.ts";
import type { HttpCommand } from "./http_command.ts";

/** When a bridge that ended is started again, in milliseconds: doubled each time, up to the limit. */
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 60_000;

/** A bridge that has run for so long, in milliseconds, has not failed in starting. */
const SETTLED_MS = 60_000;

/** How long a bridge may take to end, in milliseconds, before it is killed. */
const END_MS = 12_000;

/** What may be put in from outside. */
export interface HttpProcessOptions {
  readonly log: ActivityLog;
  /** For tests; absent: {@linkcode FIRST_DELAY_MS}. */
  readonly firstDelayMs?: number;
}

/** Keeps a bridge running. Disposal ends it. */
export class HttpProcess implements AsyncDisposable {
  readonly #command: HttpCommand;
  readonly #log: ActivityLog;
  readonly #firstDelayMs: number;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  #child: Deno.ChildProcess | undefined;

  /**
   * @param command How to start it. Started at once: the permission may be given back a moment later.
   * @param options What may be put in from outside.
   */
  constructor(command: HttpCommand, { log, firstDelayMs = FIRST_DELAY_MS }: HttpProcessOptions) {
    this.#command = command;
    this.#log = log.for("http");
    this.#firstDelayMs = firstDelayMs;
    this.#child = this.#spawn();
    this.#ended = this.#keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const child = this.#child;
    if (child !== undefined) {
      // Windows has no signal that can be handled; there the end of its input is enough.
      if (Deno.build.os !== "windows") end(child, "SIGTERM");
      await child.stdin.close().catch(() => {});
      const late = setTimeout(() => end(child, "SIGKILL"), END_MS);
      await this.#ended;
      clearTimeout(late);
    }
    await this.#ended;
  }

  #spawn(): Deno.ChildProcess {
    const { command, args, env } = this.#command;
    const child = new Deno.Command(command, {
      args: [...args],
      env,
      stdin: "piped",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    this.#log.info("http_started", { pid: child.pid });
    return child;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#ending;
    let pause = this.#firstDelayMs;
    while (this.#child !== undefined) {
      const startedAt = performance.now();
      const { code } = await this.#child.status;
      await this.#child.stdin.close().catch(() => {});
      this.#child = undefined;
      if (signal.aborted) return;
      if (!mayStart(this.#command)) {
        this.#log.error("http_lost", {
          code,
          reason:
            "The HTTP bridge ended, and this daemon gave back the permission to start it: restart the daemon, or " +
            'start "inferd http"',
        });
        return;
      }
      if (performance.now() - startedAt > SETTLED_MS) pause = this.#firstDelayMs;
      this.#log.warn("http_restarting", { code, in_ms: pause });
      await delay(pause, { signal }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_DELAY_MS);
      if (!signal.aborted) this.#child = this.#spawn();
    }
  }
}

function mayStart({ command }: HttpCommand): boolean {
  return Deno.permissions.querySync({ name: "run", command }).state === "granted";
}

function end(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // It has ended already.
  }
}
