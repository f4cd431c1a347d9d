/** One daemon per lock file: the lock and the pid file next to it. Owns both files, not their folder. */
import { look } from "../config/load.ts";
import { pidPathOf } from "../config/sockets.ts";
import { errorText } from "../log/error_text.ts";

const FILE_MODE = 0o600;

/** The lock cannot be acquired; the message is for the operator. */
export class LockError extends Error {
  override readonly name: string = "LockError";
}

export class LockHeldError extends LockError {
  override readonly name = "LockHeldError";
}

/**
 * Acquire the lock and write the pid file. The lock is a `flock`, which ends with the process; the lock file itself
 * remains and has no meaning.
 *
 * @param path The lock file, created if missing.
 * @param check Called before the pid file is replaced: rejects if another daemon runs here although the lock is free,
 * because somebody removed its lock file.
 * @returns Releases the lock and removes the pid file on disposal.
 * @throws {LockHeldError} If another process holds it.
 * @throws {LockError} If the file is a symlink, not a regular file, or cannot be created.
 */
export async function acquireLock(
  path: string,
  pid: number,
  check: () => Promise<void> = () => Promise.resolve(),
): Promise<Disposable> {
  const file = openLock(path);
  try {
    const pidPath = pidPathOf(path);
    if (!await file.tryLock(true)) throw new LockHeldError(`Another inferd daemon${holder(pidPath)} holds "${path}"`);
    await check();
    writePid(pidPath, pid);
    return {
      [Symbol.dispose]: () => {
        // Remove the pid file while the lock is held; afterwards it may be another daemon's.
        try {
          Deno.removeSync(pidPath);
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        } finally {
          file.close();
        }
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function openLock(path: string): Deno.FsFile {
  try {
    // Checked before opening: opening a FIFO or a device has side effects.
    const before = look(path);
    if (before?.isSymlink) throw new LockError(`Cannot lock "${path}": it is a symbolic link`);
    if (before !== undefined && !before.isFile) throw new LockError(`Cannot lock "${path}": it is not a regular file`);
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: FILE_MODE });
    // And after: the opened file must still be the one at this path.
    const opened = file.statSync();
    const after = look(path);
    if (after?.isSymlink || after?.ino !== opened.ino || after?.dev !== opened.dev) {
      file.close();
      throw new LockError(`Cannot lock "${path}": it was replaced while it was opened`);
    }
    return file;
  } catch (error) {
    if (error instanceof LockError) throw error;
    throw new LockError(`Cannot lock "${path}": ${errorText(error)}`, { cause: error });
  }
}

/** For the message only: the file may be stale, missing or anything else. */
function holder(pidPath: string): string {
  try {
    const pid = readPid(pidPath);
    return pid === undefined ? "" : ` (pid ${pid})`;
  } catch {
    return "";
  }
}

/** The process id in a pid file, if it contains one. */
export function readPid(path: string): number | undefined {
  const text = look(path)?.isFile ? Deno.readTextFileSync(path).trim() : "";
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Open a lock file that another process has locked; undefined if none has. */
export async function openHeld(path: string): Promise<Deno.FsFile | undefined> {
  const file = await Deno.open(path, { read: true });
  // A shared lock, released immediately: an exclusive one could make a daemon's start fail.
  if (!await file.tryLock(false)) return file;
  file.close();
  return undefined;
}

function writePid(path: string, pid: number): void {
  try {
    // Replaces a file left by a crash; created anew so that no link is followed.
    if (look(path) !== undefined) Deno.removeSync(path);
    const file = Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE });
    try {
      file.writeSync(new TextEncoder().encode(`${pid}\n`));
    } catch (error) {
      // Empty, on a full disk.
      Deno.removeSync(path);
      throw error;
    } finally {
      file.close();
    }
  } catch (error) {
    throw new LockError(`Cannot write "${path}": ${errorText(error)}`, { cause: error });
  }
}
