/**
 * Starts a daemon if none answers. Only one process at a time starts one: a lock here keeps many clients from starting
 * many daemons; that two never run is ensured by the daemon's own lock.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import process from "node:process";
import { errorCode, errorText } from "./errors/error_facts.ts";
import { ConnectError, SpawnError } from "./errors/errors.ts";
import type { UnixEndpoint } from "./endpoints.ts";
import type { SpawnPlan } from "./spawn_plan.ts";
import { pause } from "./patience.ts";
import { Transport } from "./wire/transport.ts";

/** Interval of checks whether a daemon answers, in milliseconds. */
const POLL_MS = 100;
/** How much later than the waiting processes the starting one may have begun, in milliseconds. */
const WAITER_GRACE_MS = 1_000;
/** How long the starting process may hold the lock beyond the timeout of the start, in milliseconds. */
const LOCK_GRACE_MS = 25_000;
/** Maximum age of a lock file without an owner in it, in milliseconds. */
const UNREADABLE_LOCK_MS = 30_000;
/** How much of a daemon's output an error quotes: lines, and bytes of them. */
const OUTPUT_LINES = 20;
const OUTPUT_BYTES = 8 * 1024;

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** The sockets by which a started daemon is recognized. */
export interface SpawnEndpoints {
  /** The socket to connect to. */
  readonly ready: UnixEndpoint;
  /** The socket that exists from the start. */
  readonly admin: UnixEndpoint;
}

/**
 * Make sure that a daemon runs. Where one answers nothing is done.
 *
 * @param signal Gives up; a daemon that was started keeps running.
 * @returns As soon as it is ready, or at the end of `plan.timeoutMs` if it lives and loads: looks whether the one that
 * was started has ended since.
 * @throws {SpawnError} If it cannot be started, ends, or shows no sign of life.
 * @throws {ConnectError} If what is at its place is not one that waiting mends.
 * @throws The signal's reason, if it was aborted.
 */
export async function ensureDaemon(
  plan: SpawnPlan,
  endpoints: SpawnEndpoints,
  signal: AbortSignal,
): Promise<(signal: AbortSignal) => Promise<void>> {
  const nothing = (): Promise<void> => Promise.resolve();
  if (await answers(endpoints.ready, signal)) return nothing;
  prepareFolder(plan);
  const lock = new StartLock(plan.lockPath);
  const deadline = performance.now() + plan.timeoutMs + WAITER_GRACE_MS;
  for (;;) {
    if (lock.take(plan.timeoutMs + LOCK_GRACE_MS)) {
      try {
        const daemon = await start(plan, endpoints, signal);
        return daemon === undefined ? nothing : (signal) => daemon.check(endpoints, signal);
      } finally {
        lock.release();
      }
    }
    if (await answers(endpoints.ready, signal)) return nothing;
    if (performance.now() >= deadline) {
      if (await isAlive(endpoints, signal)) return nothing;
      throw new SpawnError(
        `Another process is starting a daemon, which has given no sign of life for ${plan.timeoutMs} ms`,
        { output: plan.ownLog ? tail(plan.logPath, 0) : "" },
      );
    }
    await pause(POLL_MS, signal);
  }
}

/** With the lock held: start a daemon and wait for it; undefined if there is one by now that somebody else started. */
async function start(
  plan: SpawnPlan,
  endpoints: SpawnEndpoints,
  signal: AbortSignal,
): Promise<StartedDaemon | undefined> {
  if (await isAlive(endpoints, signal)) return undefined;
  const daemon = new StartedDaemon(plan);
  for (const deadline = performance.now() + plan.timeoutMs;;) {
    await daemon.check(endpoints, signal);
    if (await answers(endpoints.ready, signal)) return daemon;
    if (performance.now() >= deadline) break;
    await pause(POLL_MS, signal);
  }
  if (await isAlive(endpoints, signal)) return daemon;
  throw daemon.failure(`it gave no sign of life within ${plan.timeoutMs} ms and still runs as process ${daemon.pid}`);
}

/** A daemon that was started here. */
class StartedDaemon {
  readonly #plan: SpawnPlan;
  readonly #child: ChildProcess;
  /** The offset of its output in the log. */
  readonly #logStart: number;
  #end: string | undefined;
  /** `null` where it was ended by a signal, still runs, or never ran: Node's own `exitCode` is negative then. */
  #exitCode: number | null = null;
  #cause: unknown;

  constructor(plan: SpawnPlan) {
    this.#plan = plan;
    const log = openLog(plan);
    this.#logStart = log.size;
    try {
      this.#child = spawn(plan.command, [...plan.args], {
        detached: true,
        stdio: ["ignore", log.fd, log.fd],
        env: { ...process.env, ...plan.env },
      });
    } catch (error) {
      throw this.failure(errorText(error), error);
    } finally {
      closeSync(log.fd);
    }
    this.#child.once("error", (error) => {
      this.#cause = error;
      this.#end = errorCode(error) === "ENOENT"
        ? 'there is no such program; "command" or INFERD_COMMAND names another'
        : errorText(error);
    });
    this.#child.once("exit", (code, signal) => {
      this.#exitCode = code;
      this.#end ??= signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
    });
    // In Deno a process that never ran cannot be unreferenced.
    if (this.#child.pid !== undefined) this.#child.unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Look whether it still runs, or has left the place to another daemon.
   *
   * @throws {SpawnError} If it has ended and there is none.
   */
  async check(endpoints: SpawnEndpoints, signal: AbortSignal): Promise<void> {
    if (this.#end !== undefined && !await isAlive(endpoints, signal)) throw this.failure(this.#end, this.#cause);
  }

  /** The error for a daemon that cannot be used. */
  failure(why: string, cause?: unknown): SpawnError {
    const { command, args, logPath } = this.#plan;
    const output = tail(logPath, this.#logStart);
    const last = output === "" ? "" : `: ${output.slice(output.lastIndexOf("\n") + 1)}`;
    return new SpawnError(`Cannot start a daemon with ${JSON.stringify([command, ...args].join(" "))}: ${why}${last}`, {
      exitCode: this.#exitCode,
      output,
      cause,
    });
  }
}

/** A lock file, held by the process that created it. Stale if that process is gone or late. */
export class StartLock {
  readonly #path: string;
  readonly #id = crypto.randomUUID();

  /** @param path The file; its folder exists. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Try to acquire it, for so many milliseconds at most. Returns whether it is ours.
   *
   * @throws {SpawnError} If the file cannot be made.
   */
  take(forMs: number): boolean {
    const content = JSON.stringify({ pid: process.pid, id: this.#id, until: Date.now() + forMs });
    if (create(this.#path, content)) return true;
    if (!this.#isStale()) return false;
    this.#remove();
    return create(this.#path, content);
  }

  /** Release it, if it is still ours. */
  release(): void {
    if (read(this.#path)?.id === this.#id) rmSync(this.#path, { force: true });
  }

  /** Remove it if it is stale; one at a time, because between looking and removing it may become another's. */
  #remove(): void {
    const guard = `${this.#path}.stale`;
    if (!create(guard, "")) {
      // Left by one who died here.
      if (age(guard) > UNREADABLE_LOCK_MS) rmSync(guard, { force: true });
      return;
    }
    try {
      if (this.#isStale()) rmSync(this.#path, { force: true });
    } finally {
      rmSync(guard, { force: true });
    }
  }

  #isStale(): boolean {
    const holder = read(this.#path);
    if (holder === undefined) return age(this.#path) > UNREADABLE_LOCK_MS;
    return Date.now() > holder.until || !isRunning(holder.pid);
  }
}

/** @returns Whether the file was made now. */
function create(path: string, content: string): boolean {
  try {
    const file = openSync(path, "wx", FILE_MODE);
    try {
      writeSync(file, content);
    } catch (error) {
      // Empty, on a full disk, it would keep others from starting a daemon for a while.
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw new SpawnError(`Cannot make the lock "${path}": ${errorText(error)}`, { cause: error });
  }
}

/** The holder of a lock; undefined if it is gone, or not written yet. */
function read(path: string): { readonly pid: number; readonly id: unknown; readonly until: number } | undefined {
  try {
    const { pid, id, until } = JSON.parse(readFileSync(path, "utf8"));
    return typeof pid === "number" && typeof until === "number" ? { pid, id, until } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * How long ago a file was written, in milliseconds; -1 where there is none. One from the future was written before the
 * clock was set back.
 */
function age(path: string): number {
  try {
    return Math.abs(Date.now() - statSync(path).mtimeMs);
  } catch {
    return -1;
  }
}

/** If that is not known, the timeout decides. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}

/** As the daemon makes it; in a shared folder like /tmp anybody may have made it first. */
function prepareFolder({ runtimeDir, uid }: SpawnPlan): void {
  const refuse = (why: string, cause?: unknown): never => {
    throw new SpawnError(`Cannot use runtime directory "${runtimeDir}": ${why}`, { cause });
  };
  try {
    mkdirSync(runtimeDir, { recursive: true, mode: FOLDER_MODE });
    const info = lstatSync(runtimeDir);
    if (!info.isDirectory()) refuse("it is not a folder");
    if (uid !== null && info.uid !== uid) refuse(`it belongs to user ${info.uid}`);
  } catch (error) {
    if (error instanceof SpawnError) throw error;
    refuse(errorText(error), error);
  }
}

/** The log to append to, and how much is in it. */
function openLog({ logPath, ownLog }: SpawnPlan): { readonly fd: number; readonly size: number } {
  try {
    if (ownLog) rmSync(logPath, { force: true });
    const fd = openSync(logPath, ownLog ? "ax" : "a", FILE_MODE);
    return { fd, size: fstatSync(fd).size };
  } catch (error) {
    throw new SpawnError(`Cannot write "${logPath}": ${errorText(error)}`, { cause: error });
  }
}

/** The last lines of a file from `start` on; `""` where it cannot be read. */
function tail(path: string, start: number): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const { size } = fstatSync(fd);
    const buffer = new Uint8Array(Math.max(0, Math.min(size - start, OUTPUT_BYTES)));
    const count = readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    const text = new TextDecoder().decode(buffer.subarray(0, count));
    return text.trim().split("\n").slice(-OUTPUT_LINES).join("\n");
  } catch {
    return "";
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

async function isAlive({ ready, admin }: SpawnEndpoints, signal: AbortSignal): Promise<boolean> {
  return await answers(admin, signal) || await answers(ready, signal);
}

/**
 * Check whether something listens.
 *
 * @throws {ConnectError} If there is something that no waiting mends.
 */
async function answers(endpoint: UnixEndpoint, signal: AbortSignal): Promise<boolean> {
  try {
    (await Transport.open(endpoint, signal)).close();
    return true;
  } catch (error) {
    if (error instanceof ConnectError && error.retryable) return false;
    throw error;
  }
}
