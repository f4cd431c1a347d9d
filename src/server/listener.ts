/**
 * Binds sockets where clients find them, refuses where that would be wrong or unsafe, and accepts on them. Owns the
 * checks on paths and addresses; knows nothing of the protocols.
 */
import { delay } from "@std/async";
import { dirname } from "node:path";
import type { TcpAddress } from "../config/options.ts";
import { isLoopback, isLoopbackAddress } from "@inferd/client/protocol";
import { bytesOf, daemonSockets, shorterSocket, socketPathFault } from "../config/sockets.ts";
import { errorText } from "../log/error_text.ts";
import { GroupError, groupId } from "./group.ts";

/** How long accepting pauses after a failure (for example no free descriptors), in milliseconds. */
const ACCEPT_REST_MS = 100;

/** A socket cannot be bound at its configured place; the message is for the operator. */
export class BindError extends Error {
  override readonly name = "BindError";
}

/**
 * Refuse a daemon whose sockets cannot all be bound: before it loads anything, and whether or not all will be needed.
 *
 * @param privatePath The socket for processes that a monitor starts, if there is one.
 * @throws {BindError} If a path is too long, or there is no such group.
 */
export function checkSocketPaths(
  options: Parameters<typeof daemonSockets>[0] & { readonly runtimeDir: string; readonly group?: string },
  privatePath?: string,
): void {
  // The longest: if it fits, all do.
  const [socket] = daemonSockets(options).toSorted((one, other) => bytesOf(other.path) - bytesOf(one.path));
  const fault = socket === undefined ? undefined : socketPathFault(socket.path);
  if (socket !== undefined && fault !== undefined) {
    throw refusal(socket.path, `${fault}; ${shorterSocket(socket, options.runtimeDir)}`);
  }
  const privateFault = privatePath === undefined ? undefined : socketPathFault(privatePath);
  if (privatePath !== undefined && privateFault !== undefined) {
    throw refusal(privatePath, `${privateFault}; set XDG_RUNTIME_DIR to a shorter folder`);
  }
  if (options.group !== undefined) groupOf(options.listen.infer.socket, options.group);
}

/**
 * Listen on a unix socket. A stale socket file is removed; one that answers, and anything that is no socket, is not.
 *
 * @param options `mode`: permission bits of the socket file. `group`: its group, by name or number.
 * @throws {BindError} If it cannot be bound there.
 */
export async function bindUnix(
  path: string,
  options: { readonly mode: number; readonly group?: string },
): Promise<Deno.UnixListener> {
  const fault = socketPathFault(path);
  if (fault !== undefined) throw refusal(path, fault);
  const gid = options.group === undefined ? undefined : groupOf(path, options.group);
  await removeStale(path);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } catch (error) {
    throw refusal(path, pathReason(path, error), error);
  }
  try {
    if (gid !== undefined) Deno.chownSync(path, null, gid);
    Deno.chmodSync(path, options.mode);
  } catch (error) {
    listener.close();
    removeSocket(path);
    throw refusal(path, `its group or mode cannot be set: ${errorText(error)}`, error);
  }
  return listener;
}

/** @throws {BindError} If it cannot be bound there. Without a key only loopback addresses are accepted. */
export function bindTcp(address: TcpAddress, options: { readonly apiKey?: string }): Deno.TcpListener {
  const name = `${address.hostname}:${address.port}`;
  const guarded = options.apiKey !== undefined;
  if (!guarded && !isLoopback(address.hostname)) {
    throw refusal(
      name,
      'without an API key only loopback addresses are allowed; INFERD_API_KEY or "api_key_file" sets one',
    );
  }
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname: address.hostname, port: address.port });
  } catch (error) {
    throw refusal(name, addressReason(error), error);
  }
  // "localhost" is resolved by the system.
  if (!guarded && !isLoopbackAddress(listener.addr.hostname)) {
    listener.close();
    throw refusal(name, `it resolves to ${listener.addr.hostname}, and without an API key only loopback is allowed`);
  }
  return listener;
}

/** Clients that come and go where the last descriptors are taken let accepting fail and succeed by turns. */
export const ACCEPT_SETTLED_MS = 2000;

/**
 * Accept connections until `over` is aborted, which must precede closing the listener.
 *
 * @param on.failed Called once: out of descriptors, accepting may fail for hours, and succeed now and then.
 * @param on.resumed Called when it has not failed for {@linkcode ACCEPT_SETTLED_MS}.
 */
export async function acceptAll<Conn>(
  listener: { accept(): Promise<Conn> },
  over: AbortSignal,
  on: {
    accepted(conn: Conn): void | Promise<void>;
    failed(error: unknown): void;
    resumed?(failures: number): void;
  },
): Promise<void> {
  let failures = 0;
  let settled: ReturnType<typeof setTimeout> | undefined;
  const resumed = (): void => {
    on.resumed?.(failures);
    failures = 0;
    settled = undefined;
  };
  for (;;) {
    try {
      const conn = await listener.accept();
      if (failures > 0) settled ??= setTimeout(resumed, ACCEPT_SETTLED_MS);
      await on.accepted(conn);
    } catch (error) {
      clearTimeout(settled);
      settled = undefined;
      if (over.aborted) return;
      if (++failures === 1) on.failed(error);
      await delay(ACCEPT_REST_MS, { signal: over }).catch(() => {});
    }
  }
}

/**
 * Identifies the file at a path: another file gives another text. `undefined` if there is none, or it cannot be read.
 */
export function fileAt(path: string): string | undefined {
  try {
    const { dev, ino, mtime } = Deno.lstatSync(path);
    // A new file may get the number of one that was removed.
    return `${dev} ${ino} ${mtime?.getTime()}`;
  } catch {
    return undefined;
  }
}

/** Remove a socket file; other files stay. */
export function removeSocket(path: string): void {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Remove a socket on which nobody listens.
 *
 * @throws {BindError} If somebody does, or something else is there.
 */
export async function removeStale(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw refusal(path, pathReason(path, error), error);
  }
  if (info.isSymlink) throw refusal(path, "it is a symbolic link");
  if (info.isDirectory) throw refusal(path, "it is a directory");
  if (!info.isSocket) throw refusal(path, "a file that is no socket is in the way");
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    // Gone in the meantime, or nothing listens: only then is it stale.
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof Deno.errors.ConnectionRefused) return removeSocket(path);
    throw refusal(path, `the socket there cannot be checked: ${errorText(error)}`, error);
  }
  throw refusal(path, "it is in use by a running process");
}

function groupOf(path: string, group: string): number {
  try {
    return groupId(group);
  } catch (error) {
    if (!(error instanceof GroupError)) throw error;
    throw refusal(path, error.message, error);
  }
}

function refusal(name: string, reason: string, cause?: unknown): BindError {
  return new BindError(`Cannot bind "${name}": ${reason}`, { cause });
}

function pathReason(path: string, error: unknown): string {
  const folder = dirname(path);
  if (error instanceof Deno.errors.NotFound) return `the folder "${folder}" does not exist`;
  if (error instanceof Deno.errors.NotADirectory) return `"${folder}" is not a folder`;
  if (error instanceof Deno.errors.PermissionDenied) return `the folder "${folder}" is not writable`;
  return errorText(error);
}

function addressReason(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is taken";
  if (error instanceof Deno.errors.AddrNotAvailable) return "this machine has no such address";
  if (error instanceof Deno.errors.PermissionDenied) return "the system does not allow this port";
  return errorText(error);
}
