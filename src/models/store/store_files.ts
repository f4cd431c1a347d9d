/**
 * Files of the store: folders, locks (`flock`, so they end with the process, however that ends), quarantine. A lock
 * counts only while the locked file still lies where it was opened: files here are renamed and removed under locks.
 */
import { delay } from "@std/async";
import { dirname, join } from "@std/path";
import { locksDir, quarantineDir } from "./layout.ts";
import { ModelStoreError } from "./store_error.ts";

/** Other users may read what is in a shared store; whether they get there is up to the folder above. */
export const FILE_MODE = 0o644;
const DIR_MODE = 0o755;
const QUARANTINE_MODE = 0o700;
/** How often a lock that another one holds is tried, in milliseconds. */
const LOCK_POLL_MS = 100;

/** Make a folder of the store. */
export async function ensureDir(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: DIR_MODE });
}

/** Throws anything but that there is no such file. */
export function unlessMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Remove a file if it is there. */
export async function removeFile(path: string): Promise<void> {
  await Deno.remove(path).catch(unlessMissing);
}

/** Remove a folder if nothing is in it. */
export async function removeEmptyDir(path: string): Promise<void> {
  // Without `recursive` only an empty folder goes. Whatever else is in the way, it does no harm.
  await Deno.remove(path).catch(() => {});
}

/** Whether an opened file is the one that lies under this path now. */
export async function isStillAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const opened = await file.stat();
  try {
    const there = await Deno.stat(path);
    return there.ino === opened.ino && there.dev === opened.dev;
  } catch (error) {
    unlessMissing(error);
    return false;
  }
}

/** How to wait for a lock. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once if another one holds it. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Open a file and lock it for ourselves alone; made, with its folder, if it is not there.
 *
 * @param path The file.
 * @param options How to wait.
 * @returns The locked file. Closing it gives the lock back.
 */
export async function openLocked(path: string, options: WaitOptions = {}): Promise<Deno.FsFile> {
  let told = false;
  while (true) {
    options.signal?.throwIfAborted();
    await ensureDir(dirname(path));
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, { read: true, write: true, create: true, mode: FILE_MODE });
    } catch (error) {
      // The folder went away in between.
      unlessMissing(error);
      continue;
    }
    try {
      while (!await file.tryLock(true)) {
        if (!told) options.onWait?.();
        told = true;
        await delay(LOCK_POLL_MS, signalOf(options));
      }
      if (await isStillAt(file, path)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/**
 * Open a file that is there and lock it together with whoever else does the same.
 *
 * @param path The file.
 * @param options How to wait for somebody who has it alone.
 * @returns The locked file, or nothing where there is none.
 */
export async function openShared(path: string, options: WaitOptions = {}): Promise<Deno.FsFile | undefined> {
  while (true) {
    options.signal?.throwIfAborted();
    const file = await openIfThere(path);
    if (file === undefined) return undefined;
    try {
      while (!await file.tryLock(false)) await delay(LOCK_POLL_MS, signalOf(options));
      if (await isStillAt(file, path)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

/**
 * Lock a file that is there for ourselves alone, at once or not at all.
 *
 * @param path The file.
 * @returns The locked file, nothing where there is none, `"held"` where somebody else has it.
 */
export async function tryOpenAlone(path: string): Promise<Deno.FsFile | "held" | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    if (await file.tryLock(true)) {
      if (await isStillAt(file, path)) return file;
      file.close();
      return undefined;
    }
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return "held";
}

async function openIfThere(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(path, { read: true });
  } catch (error) {
    unlessMissing(error);
    return undefined;
  }
}

function signalOf({ signal }: WaitOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** The lock file of a name. */
export function nameLockPath(root: string, name: string): string {
  return join(locksDir(root), `${name}.lock`);
}

/**
 * Take the lock of a name, whatever its upper and lower case: first that of the name in lower case, which all spellings
 * share, then that of the spelling the store has, which other tools know.
 *
 * @param root The store.
 * @param name As it was written.
 * @param spell How the store spells it; asked when nobody can change that any more.
 * @param options How to wait while another process holds it.
 * @returns The lock and the spelling.
 */
export async function lockName(
  root: string,
  name: string,
  spell: () => string,
  options: WaitOptions = {},
): Promise<{ readonly lock: Disposable; readonly spelled: string }> {
  return await lockSpellings(name, spell, (spelling) => openLocked(nameLockPath(root, spelling), options));
}

/**
 * The same, at once or not at all.
 *
 * @throws {ModelStoreError} If another one holds it.
 */
export async function lockNameNow(
  root: string,
  name: string,
  spell: () => string,
): Promise<{ readonly lock: Disposable; readonly spelled: string }> {
  await ensureDir(locksDir(root));
  return await lockSpellings(name, spell, async (spelling) => {
    const path = nameLockPath(root, spelling);
    const file = await Deno.open(path, { read: true, write: true, create: true, mode: FILE_MODE });
    if (await file.tryLock(true)) return file;
    file.close();
    throw new ModelStoreError("busy", `Model "${name}" is being pulled or imported by another process`);
  });
}

async function lockSpellings(
  name: string,
  spell: () => string,
  lock: (spelling: string) => Promise<Deno.FsFile>,
): Promise<{ readonly lock: Disposable; readonly spelled: string }> {
  const lower = name.toLowerCase();
  const first = await lock(lower);
  try {
    const spelled = spell();
    if (spelled === lower) return { lock: first, spelled };
    const second = await lock(spelled);
    const both = {
      [Symbol.dispose](): void {
        second.close();
        first.close();
      },
    };
    return { lock: both, spelled };
  } catch (error) {
    first.close();
    throw error;
  }
}

/**
 * Move a file to where nobody takes it for a model.
 *
 * @param root The store.
 * @param path The file.
 * @returns Where it is now.
 */
export async function quarantine(root: string, path: string): Promise<string> {
  const dir = quarantineDir(root);
  await ensureDir(locksDir(root));
  await Deno.mkdir(dir, { recursive: true, mode: QUARANTINE_MODE });
  for (let time = Date.now();; time++) {
    const stamp = new Date(time).toISOString().replaceAll(/[-:]/g, "");
    const target = join(dir, `${stamp}-sha-mismatch.bin`);
    try {
      // Reserves the name against other processes; the rename then takes its place.
      (await Deno.open(target, { write: true, createNew: true, mode: 0o600 })).close();
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw error;
    }
    await Deno.rename(path, target);
    return target;
  }
}
