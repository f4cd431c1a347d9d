/**
 * File primitives of the store: folders, locks (`flock`, so they end with the process), quarantine. Files are renamed
 * and removed under locks, so a lock counts only if the locked file is still at its path.
 */
import { delay } from "@std/async";
import { dirname, join } from "node:path";
import { locksDir, quarantineDir } from "./layout.ts";
import { ModelStoreError } from "./store_error.ts";

/** A shared store is readable by others; the parent folder controls access. */
export const FILE_MODE = 0o644;
const DIR_MODE = 0o755;
const QUARANTINE_MODE = 0o700;
/** Poll interval for a lock that another process holds, in milliseconds. */
const LOCK_POLL_MS = 100;

export async function ensureDir(path: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.mkdir(path, { recursive: true, mode: DIR_MODE });
    } catch (error) {
      // A folder on the way was removed in between.
      const isPassing = error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound;
      if (attempt > 9 || !isPassing) throw error;
    }
  }
}

/** Rethrows anything but NotFound. */
export function unlessMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Removes a file if it exists. */
export async function removeFile(path: string): Promise<void> {
  await Deno.remove(path).catch(unlessMissing);
}

/** Writes the whole text where the file is. */
export async function writeAll(file: Deno.FsFile, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

export async function removeEmptyDir(path: string): Promise<void> {
  // Without `recursive` only an empty folder is removed. Other errors are harmless.
  await Deno.remove(path).catch(() => {});
}

/** Whether an open file is still the one at this path. */
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

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once if another process holds the lock. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Open a file with an exclusive lock, creating it and its folder if necessary.
 *
 * @returns The locked file. Closing it releases the lock.
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
      // The folder was removed in between.
      unlessMissing(error);
      continue;
    }
    using opened = new DisposableStack();
    opened.use(file);
    while (!await file.tryLock(true)) {
      if (!told) options.onWait?.();
      told = true;
      await delay(LOCK_POLL_MS, signalOf(options));
    }
    if (await isStillAt(file, path)) return keptOpen(file, opened);
  }
}

/** Open an existing file with a shared lock. */
export async function openShared(path: string, options: WaitOptions = {}): Promise<Deno.FsFile | undefined> {
  while (true) {
    options.signal?.throwIfAborted();
    using opened = new DisposableStack();
    const file = opened.use(await openIfThere(path));
    if (file === undefined) return undefined;
    while (!await file.tryLock(false)) await delay(LOCK_POLL_MS, signalOf(options));
    if (await isStillAt(file, path)) return keptOpen(file, opened);
  }
}

/**
 * Lock an existing file exclusively without waiting.
 *
 * @returns The locked file, nothing if it does not exist, `"held"` if another process holds a lock.
 */
export async function tryOpenAlone(path: string): Promise<Deno.FsFile | "held" | undefined> {
  using opened = new DisposableStack();
  const file = opened.use(await openIfThere(path));
  if (file === undefined) return undefined;
  if (!await file.tryLock(true)) return "held";
  return await isStillAt(file, path) ? keptOpen(file, opened) : undefined;
}

/** The file, which its stack no longer closes. */
function keptOpen(file: Deno.FsFile, opened: DisposableStack): Deno.FsFile {
  opened.move();
  return file;
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

export function nameLockPath(root: string, name: string): string {
  return join(locksDir(root), `${name}.lock`);
}

/**
 * Lock a name regardless of case: first its lower-case form, which all spellings share, then the store's spelling,
 * which other tools lock.
 *
 * @param spell Returns the store's spelling; called once it can no longer change.
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
 * The same without waiting.
 *
 * @throws {ModelStoreError} If another process holds it.
 */
export async function lockNameNow(
  root: string,
  name: string,
  spell: () => string,
): Promise<{ readonly lock: Disposable; readonly spelled: string }> {
  await ensureDir(locksDir(root));
  return await lockSpellings(name, spell, async (spelling) => {
    const path = nameLockPath(root, spelling);
    using opened = new DisposableStack();
    const file = opened.use(await Deno.open(path, { read: true, write: true, create: true, mode: FILE_MODE }));
    if (await file.tryLock(true)) return keptOpen(file, opened);
    throw new ModelStoreError("busy", `Model "${name}" is being pulled or imported by another process`);
  });
}

async function lockSpellings(
  name: string,
  spell: () => string,
  lock: (spelling: string) => Promise<Deno.FsFile>,
): Promise<{ readonly lock: Disposable; readonly spelled: string }> {
  const lower = name.toLowerCase();
  using locks = new DisposableStack();
  locks.use(await lock(lower));
  const spelled = spell();
  if (spelled !== lower) locks.use(await lock(spelled));
  return { lock: locks.move(), spelled };
}

/** Move a file to quarantine, where it is not mistaken for a model. */
export async function quarantine(root: string, path: string): Promise<string> {
  const dir = quarantineDir(root);
  await ensureDir(locksDir(root));
  await Deno.mkdir(dir, { recursive: true, mode: QUARANTINE_MODE });
  for (let time = Date.now();; time++) {
    const stamp = new Date(time).toISOString().replaceAll(/[-:]/g, "");
    const target = join(dir, `${stamp}-sha-mismatch.bin`);
    try {
      // Reserves the name; the rename then replaces it.
      (await Deno.open(target, { write: true, createNew: true, mode: 0o600 })).close();
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw error;
    }
    await Deno.rename(path, target);
    return target;
  }
}
