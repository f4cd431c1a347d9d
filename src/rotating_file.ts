/**
 * A file of lines that is kept small: written in batches, rotated before it is full. What the lines say is `log.ts`'s.
 */
import { join } from "@std/path";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** Files beside the current one: `.1` is the youngest. */
const KEPT = 3;
/** A line is on disk at most so much later. */
const FLUSH_MS = 200;
/** So many characters are not kept waiting. */
const FLUSH_CHARS = 64 * 1024;

/** Where the lines go and what happens when they cannot. */
export interface RotatingFileOptions {
  readonly dir: string;
  readonly name: string;
  /** The file never gets larger, in bytes. */
  readonly mostBytes: number;
  /** Called once, when writing failed; every line from then on is dropped. */
  readonly onStopped: (reason: string) => void;
}

/** Lines on disk. Never throws: a log that cannot be written must not stop who writes it. */
export class RotatingFile implements Disposable {
  readonly #options: RotatingFileOptions;
  readonly #path: string;
  readonly #encoder = new TextEncoder();
  #file: Deno.FsFile | undefined;
  #ino: number | null = null;
  #size = 0;
  #lines: string[] = [];
  #chars = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#path = join(options.dir, options.name);
    this.#attempt(() => {
      Deno.mkdirSync(options.dir, { recursive: true, mode: DIRECTORY_MODE });
      this.#open();
    });
  }

  /** Queue a line, given without its newline. */
  write(line: string): void {
    if (this.#stopped) return;
    this.#lines.push(line);
    this.#chars += line.length;
    if (this.#chars >= FLUSH_CHARS) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Write what is queued. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#lines;
    this.#lines = [];
    this.#chars = 0;
    if (lines.length > 0) this.#attempt(() => this.#write(lines));
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#stopped = true;
    this.#close();
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #attempt(work: () => void): void {
    if (this.#stopped) return;
    try {
      work();
    } catch (error) {
      this.#stopped = true;
      this.#close();
      this.#options.onStopped(
        `Cannot write "${this.#path}": ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #open(): void {
    const before = look(this.#path);
    if (before !== undefined && !before.isFile) throw new Error("it is not a regular file");
    this.#close();
    this.#file = Deno.openSync(this.#path, { append: true, create: true, mode: FILE_MODE });
    Deno.chmodSync(this.#path, FILE_MODE);
    const { ino, size } = this.#file.statSync();
    this.#ino = ino;
    this.#size = size;
  }

  #write(lines: readonly string[]): void {
    // Removed or moved away by somebody: what is written to the old file would be seen by nobody.
    if (look(this.#path)?.ino !== this.#ino) this.#open();
    let batch: Uint8Array[] = [];
    let bytes = 0;
    for (const line of lines) {
      const encoded = this.#encoder.encode(line + "\n");
      if (this.#size + bytes + encoded.length >= this.#options.mostBytes) {
        this.#put(batch);
        batch = [];
        bytes = 0;
        this.#rotate();
      }
      batch.push(encoded);
      bytes += encoded.length;
    }
    this.#put(batch);
  }

  #put(batch: readonly Uint8Array[]): void {
    const whole = new Uint8Array(batch.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const encoded of batch) {
      whole.set(encoded, at);
      at += encoded.length;
    }
    for (let written = 0; written < whole.length;) {
      written += this.#file?.writeSync(whole.subarray(written)) ?? Infinity;
    }
    this.#size += whole.length;
  }

  #rotate(): void {
    for (let index = KEPT; index > 0; index--) {
      const from = index === 1 ? this.#path : `${this.#path}.${index - 1}`;
      if (look(from) !== undefined) Deno.renameSync(from, `${this.#path}.${index}`);
    }
    this.#open();
  }
}

function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
