/** Folder for sockets, lock and pid file: owned by this user and closed to others. Does not own the files in it. */
import type { DaemonOptions } from "../config/options.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { socketsBehindClosedFolders } from "../server/group.ts";

const MODE = 0o700;

/** The folder cannot be used; the message is for the operator. */
export class RuntimeDirError extends Error {
  override readonly name = "RuntimeDirError";
}

/**
 * Create the runtime directory, or check that the existing one belongs to this user.
 *
 * @throws {RuntimeDirError} If it is a symlink, not a folder, owned by another user, or cannot be created.
 */
export function prepareRuntimeDir(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: MODE });
    // In a shared folder such as /tmp another user may have created it first.
    const info = Deno.lstatSync(path);
    const uid = Deno.uid();
    if (info.isSymlink) throw refusal(path, "it is a symbolic link");
    if (!info.isDirectory) throw refusal(path, "it is not a folder");
    if (uid !== null && info.uid !== null && info.uid !== uid) throw refusal(path, `it belongs to user ${info.uid}`);
    if (info.mode !== null && (info.mode & 0o777) !== MODE) Deno.chmodSync(path, MODE);
  } catch (error) {
    if (error instanceof RuntimeDirError) throw error;
    throw refusal(path, reason(error), error);
  }
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) {
    return "a part of the path is not a folder";
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable) return `Deno was not given the permission: ${error.message}`;
  return errorText(error);
}

function refusal(path: string, why: string, cause?: unknown): RuntimeDirError {
  return new RuntimeDirError(`Cannot use runtime directory "${path}": ${why}`, { cause });
}

/** Warns if the group cannot enter the folder of a socket it is given. */
export function warnOfClosedFolders({ group, listen }: DaemonOptions, log: ActivityLog): void {
  for (const [folder, sockets] of socketsBehindClosedFolders(group, Object.values(listen))) {
    log.warn("group_shut_out", {
      group,
      folder,
      sockets,
      reason: "The group may not enter the folder: put the sockets where it may, with --uds PATH",
    });
  }
}
