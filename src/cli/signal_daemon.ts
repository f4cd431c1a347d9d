/** Signals the running daemon: by its pid file, and only if it answers on its admin socket. */
import type { Admin } from "@inferd/client";
import { pidPathOf } from "../config/sockets.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import type { ParsedFlags } from "../config/flags.ts";
import { errorText } from "../log/error_text.ts";
import { adminOf, target, unreachable } from "./reach.ts";

/** The daemon could not be signalled; the message is for the user. */
export class SignalError extends Error {
  override readonly name = "SignalError";
}

/** A daemon that answered. */
export interface RunningDaemon {
  readonly admin: Admin;
  /** @throws {SignalError} If this process lacks permission, or the daemon has exited. */
  signal(name: Deno.Signal): void;
}

/**
 * Find the running daemon.
 *
 * @throws {UnreachableError} If none answers: the pid may have been reused by another program.
 * @throws {SignalError} If its pid file is unusable.
 */
export async function runningDaemon(flags: ParsedFlags, machine: Machine): Promise<RunningDaemon> {
  const options = await readOptions(flags.values, machine);
  const admin = adminOf(await target(flags, machine.env));
  await admin.snapshot().catch((error: unknown) => {
    throw unreachable(error);
  });
  const pid = readPid(pidPathOf(options.lockPath));
  return { admin, signal: (name) => signalProcess(pid, name) };
}

/** @throws {SignalError} If it names none. */
export function readPid(path: string): number {
  let text: string;
  try {
    text = Deno.readTextFileSync(path).trim();
  } catch (error) {
    throw new SignalError(`Cannot read "${path}": ${errorText(error)}`);
  }
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new SignalError(`"${path}" does not contain a process id`);
  return Number(text);
}

/** @throws {SignalError} If this process may not, or the other has ended. */
export function signalProcess(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    throw new SignalError(`Cannot signal process ${pid}: ${errorText(error)}`);
  }
}
