/** Every unix socket of a daemon, and the flag that says where it is. Touches no file. */
import { dirname } from "@std/path";
import { maxSocketPathBytes } from "@inferd/client/paths";
import { SURFACES, type SurfaceTable, UNIX_SURFACES } from "@inferd/client/protocol";
import type { DaemonOptions } from "./options.ts";

/** One socket. */
export interface DaemonSocket {
  readonly path: string;
  /** With its dashes. */
  readonly flag: string;
}

/** The sockets of a daemon, whether anything will be served there or not. */
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

/**
 * Why a path cannot be that of a socket.
 *
 * @param path The path.
 * @returns The reason; nothing where it is short enough.
 */
export function socketPathFault(path: string): string | undefined {
  const most = maxSocketPathBytes(Deno.build.os);
  const bytes = bytesOf(path);
  return bytes <= most ? undefined : `a unix socket's path may have ${most} bytes, this one has ${bytes}`;
}

/** What counts of a path. */
export function bytesOf(path: string): number {
  return new TextEncoder().encode(path).length;
}

/**
 * What to do about a path that is too long.
 *
 * @param socket Whose path.
 * @param runtimeDir Where sockets are that were put nowhere else.
 */
export function shorterSocket({ path, flag }: DaemonSocket, runtimeDir: string): string {
  if (dirname(path) === runtimeDir) return `set XDG_RUNTIME_DIR to a shorter folder, or ${flag} to a shorter path`;
  const { infer, ...others } = SURFACES;
  // The others of inference are next to that of generation.
  const follows = Object.values(others).some((surface) => flag === `--${surface.flag}`);
  return `set ${follows ? `--${infer.flag} or ` : ""}${flag} to a shorter path`;
}
