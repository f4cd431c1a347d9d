/** All unix sockets of a daemon, with the flags that set them, and its pid file. Touches no files. */
import { dirname } from "node:path";
import { maxSocketPathBytes } from "@inferd/client/paths";
import { SURFACES, type SurfaceTable, UNIX_SURFACES } from "@inferd/client/protocol";
import type { DaemonOptions } from "./options.ts";

export interface DaemonSocket {
  readonly path: string;
  /** Including dashes. */
  readonly flag: string;
}

/** Sockets of a daemon, whether or not they are served. */
export function daemonSockets(
  { adminSocket, listen, rpcSocket }: Pick<DaemonOptions, "adminSocket" | "listen" | "rpcSocket">,
): readonly DaemonSocket[] {
  const rows: SurfaceTable = SURFACES;
  return [
    { path: adminSocket, flag: `--${UNIX_SURFACES.admin.flag}` },
    ...Object.entries(listen).map(([name, { socket }]) => ({ path: socket, flag: `--${rows[name]?.flag}` })),
    { path: rpcSocket, flag: `--${UNIX_SURFACES.dispatch.flag}` },
  ];
}

/** Why a socket path is too long; `undefined` if it is not. */
export function socketPathFault(path: string): string | undefined {
  const most = maxSocketPathBytes(Deno.build.os);
  const bytes = bytesOf(path);
  return bytes <= most ? undefined : `a unix socket's path may have ${most} bytes, this one has ${bytes}`;
}

export function bytesOf(path: string): number {
  return new TextEncoder().encode(path).length;
}

/** Advice for a socket path that is too long. */
export function shorterSocket({ path, flag }: DaemonSocket, runtimeDir: string): string {
  if (dirname(path) === runtimeDir) return `set XDG_RUNTIME_DIR to a shorter folder, or ${flag} to a shorter path`;
  const { infer, ...others } = SURFACES;
  // The other inference sockets default to the folder of the generation socket.
  const follows = Object.values(others).some((surface) => flag === `--${surface.flag}`);
  return `set ${follows ? `--${infer.flag} or ` : ""}${flag} to a shorter path`;
}

const LOCK_ENDING = /\.lock$/;

/** Pid file of the daemon that holds a lock: `inferd.pid` next to `inferd.lock`. */
export function pidPathOf(lockPath: string): string {
  return `${lockPath.replace(LOCK_ENDING, "")}.pid`;
}
