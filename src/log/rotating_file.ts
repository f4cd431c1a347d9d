/**
 * A log file of bounded size: written in batches in the background, and rotated before it is full. If writing fails,
 * lines are dropped and counted, and writing is retried. `log.ts` defines the lines.
 */
import { delay } from "@std/async";
import { join } from "node:path";
import { errorText } from "./error_text.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Number of rotated files; `.1` is the newest. */
const KEPT = 3;
/** Maximum delay before a line is written. */
const FLUSH_MS = 200;
/** Number of buffered characters that triggers a write. */
const FLUSH_CHARS = 64 * 1024;
/** Maximum number of buffered characters; further lines are dropped. */
const MOST_WAITING_CHARS = 1024 * 1024;
const RETRY_MS = 5_000;
/** Maximum wait for a slow disk on disposal. */
const LAST_WRITE_MS = 2_000;
const NEWLINE = 0x0a;

export interface RotatingFileOptions {
  readonly dir: string;
  readonly name: string;
  readonly mostBytes: number;
  /** Called when writing starts to fail; lines are dropped until it works again. */
  readonly onStopped: (reason: string) => void;
  /** Called when it works again, with the number of dropped lines. */
  readonly onResumed?: (lost: number) => void;
  /** Creates the line that replaces dropped lines. `stopped`: writing failed rather than being slow. */
  readonly gapLine?: (gap: { readonly lost: number; readonly stopped: boolean }) => string;
  /** Back-off after a failed write, in milliseconds. */
  readonly retryMs?: number;
}

interface Entry {
  readonly line: string;
  /** Number of lines missing at this position. */
  readonly count: number;
}

/** Writes lines to disk. Never throws and never blocks: a failing log must not stop its callers. */
export class RotatingFile implements AsyncDisposable {
  readonly #options: RotatingFileOptions;
  readonly #path: string;
  readonly #encoder = new TextEncoder();
  #file: Deno.FsFile | undefined;
  #identity: Pick<Deno.FileInfo, "dev" | "ino"> | undefined;
  #size = 0;
  #entries: Entry[] = [];
  /** Total length of unwritten lines. */
  #chars = 0;
  #lost = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  /** Set while writing fails: time of the next attempt. */
  #retryAt: number | undefined;
  #closed = false;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#path = join(options.dir, options.name);
  }

  /** Queue a line without its newline. */
  write(line: string): void {
    if (this.#closed) return;
    const waits = this.#retryAt !== undefined && (this.#writing !== undefined || performance.now() < this.#retryAt);
    if (waits || this.#chars + line.length > MOST_WAITING_CHARS) {
      this.#lost++;
      return;
    }
    this.#noteGap();
    this.#add({ line, count: 1 });
    if (this.#chars >= FLUSH_CHARS) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
  }

  /** Write queued lines. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing === undefined && this.#entries.length === 0) return Promise.resolve();
    return this.#writing ??= this.#drain();
  }

  /** Write queued lines, unless the disk takes too long. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    if (this.#retryAt === undefined) this.#noteGap();
    this.#closed = true;
    const end = new AbortController();
    const written = this.flush().then(() => this.#close());
    await Promise.race([written, delay(LAST_WRITE_MS, { signal: end.signal }).catch(() => {})]);
    end.abort();
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    this.#chars += entry.line.length;
  }

  #noteGap(): void {
    if (this.#lost === 0) return;
    const { gapLine } = this.#options;
    if (gapLine === undefined) return;
    this.#add({ line: gapLine({ lost: this.#lost, stopped: this.#retryAt !== undefined }), count: this.#lost });
    this.#lost = 0;
  }

  async #drain(): Promise<void> {
    while (this.#entries.length > 0) {
      const entries = this.#entries;
      this.#entries = [];
      let written = 0;
      try {
        await this.#write(entries, (count) => written += count);
        this.#chars -= entries.reduce((sum, { line }) => sum + line.length, 0);
        this.#resumed(entries);
      } catch (error) {
        const left = [...entries.slice(written), ...this.#entries];
        this.#entries = [];
        this.#lost += left.reduce((sum, { count }) => sum + count, 0);
        this.#chars = 0;
        this.#stopped(error);
      }
    }
    this.#writing = undefined;
  }

  #stopped(error: unknown): void {
    const first = this.#retryAt === undefined;
    this.#retryAt = performance.now() + (this.#options.retryMs ?? RETRY_MS);
    this.#close();
    if (first) this.#options.onStopped(`Cannot write "${this.#path}": ${reasonOf(error)}`);
  }

  #resumed([first]: readonly Entry[]): void {
    if (this.#retryAt === undefined) return;
    this.#retryAt = undefined;
    // The first line after a failure states the number of dropped lines.
    this.#options.onResumed?.(first?.count ?? 0);
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** @param onWritten Called with the number of further lines on disk. */
  async #write(entries: readonly Entry[], onWritten: (count: number) => void): Promise<void> {
    let file = await this.#current();
    let batch: Uint8Array[] = [];
    let bytes = 0;
    for (const { line } of entries) {
      const encoded = this.#encoder.encode(line + "\n");
      if (this.#size + bytes > 0 && this.#size + bytes + encoded.length >= this.#options.mostBytes) {
        await this.#put(file, batch, onWritten);
        batch = [];
        bytes = 0;
        file = await this.#rotate();
      }
      batch.push(encoded);
      bytes += encoded.length;
    }
    await this.#put(file, batch, onWritten);
  }

  async #put(file: Deno.FsFile, batch: readonly Uint8Array[], onWritten: (count: number) => void): Promise<void> {
    const whole = new Uint8Array(batch.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const encoded of batch) {
      whole.set(encoded, at);
      at += encoded.length;
    }
    let written = 0;
    try {
      while (written < whole.length) written += await file.write(whole.subarray(written));
    } catch (error) {
      // A full disk may write partially: remove an incomplete last line.
      const kept = whole.subarray(0, written).lastIndexOf(NEWLINE) + 1;
      if (kept < written) await file.truncate(this.#size + kept).catch(() => {});
      onWritten(whole.subarray(0, kept).reduce((sum, byte) => byte === NEWLINE ? sum + 1 : sum, 0));
      throw error;
    }
    this.#size += whole.length;
    onWritten(batch.length);
  }

  /** Reopens the path if the file was removed or moved, so that new lines are visible. */
  async #current(): Promise<Deno.FsFile> {
    const there = await look(this.#path);
    if (this.#file === undefined || there === undefined || !isSame(there, this.#identity)) return await this.#open();
    // Another program may have truncated it.
    this.#size = there.size;
    return this.#file;
  }

  async #open(): Promise<Deno.FsFile> {
    this.#close();
    const before = await look(this.#path);
    if (before !== undefined && !before.isFile) throw new Error("it is not a regular file");
    const file = await this.#openWritable();
    try {
      const opened = await file.stat();
      const after = await look(this.#path);
      if (after !== undefined && !after.isFile) throw new Error("it is not a regular file");
      if (opened.mode !== null && (opened.mode & 0o777) !== FILE_MODE) await Deno.chmod(this.#path, FILE_MODE);
      this.#identity = opened;
      this.#size = opened.size;
      await this.#endLine(file);
    } catch (error) {
      file.close();
      throw error;
    }
    return this.#file = file;
  }

  async #openWritable(): Promise<Deno.FsFile> {
    const open = (): Promise<Deno.FsFile> =>
      Deno.open(this.#path, { read: true, append: true, create: true, mode: FILE_MODE });
    try {
      return await open();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        await Deno.mkdir(this.#options.dir, { recursive: true, mode: DIRECTORY_MODE });
      } else if (error instanceof Deno.errors.PermissionDenied) {
        // The file may be ours with its mode changed.
        await Deno.chmod(this.#path, FILE_MODE).catch(() => {
          throw error;
        });
      } else {
        throw error;
      }
      return await open();
    }
  }

  /** Ends an incomplete line left by a crash. */
  async #endLine(file: Deno.FsFile): Promise<void> {
    if (this.#size === 0) return;
    const last = new Uint8Array(1);
    await file.seek(-1, Deno.SeekMode.End);
    await file.read(last);
    if (last[0] === NEWLINE) return;
    await file.write(Uint8Array.of(NEWLINE));
    this.#size++;
  }

  async #rotate(): Promise<Deno.FsFile> {
    this.#close();
    for (let index = KEPT; index > 0; index--) {
      const from = index === 1 ? this.#path : `${this.#path}.${index - 1}`;
      if (await look(from) !== undefined) await Deno.rename(from, `${this.#path}.${index}`);
    }
    return await this.#open();
  }
}

function isSame(
  one: Pick<Deno.FileInfo, "dev" | "ino">,
  other: Pick<Deno.FileInfo, "dev" | "ino"> | undefined,
): boolean {
  return one.ino === other?.ino && one.dev === other.dev;
}

async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Why a file cannot be written, in words where those of the system say where it was noticed. */
function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotADirectory) return "a part of its path is not a folder";
  if (error instanceof Deno.errors.NotFound) return "its folder does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not write there";
  return errorText(error);
}
