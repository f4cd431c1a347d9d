/**
 * The folder that holds sockets, lock and pid file: it is ours and nobody else can look into it. What lies in it
 * belongs to those who put it there.
 */
const MODE = 0o700;

/** The folder cannot be used; the message is for the operator. */
export class RuntimeDirError extends Error {
  override readonly name = "RuntimeDirError";
}

/**
 * Make the runtime directory, or make sure that the one that is there is ours.
 *
 * @param path The folder.
 * @throws {RuntimeDirError} If it is a symlink, no folder, somebody else's, or cannot be made.
 */
export function prepareRuntimeDir(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: MODE });
    // In a shared folder like /tmp anybody may have made it first.
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
  return error instanceof Error ? error.message : String(error);
}

function refusal(path: string, why: string, cause?: unknown): RuntimeDirError {
  return new RuntimeDirError(`Cannot use runtime directory "${path}": ${why}`, { cause });
}
