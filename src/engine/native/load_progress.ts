/**
 * How far weights are loaded. The native library calls back before every tensor, the first time when it has allocated
 * memory for all; but where it maps a file that is not in memory, one system call reads all of it, so such a file is read
 * here first.
 */
import { dataView, MODEL_PARAM } from "./library.ts";

/** Least interval between two reports, in milliseconds. */
const EVERY_MS = 250;
const CHUNK_BYTES = 8 * 1024 * 1024;
/** A chunk that is read in less, in milliseconds, was in memory; so may be as much again as this, and is skipped. */
const IN_MEMORY_MS = 2;
const SKIPPED_BYTES = 64 * 1024 * 1024;

/** Reports progress a few times a second. */
export class LoadProgress implements Disposable {
  readonly #report: ((share: number) => void) | undefined;
  readonly #now: () => number;
  readonly #callback: Deno.UnsafeCallback<{ parameters: ["f32", "pointer"]; result: "bool" }>;
  /** What loads at once is not worth a report. */
  #told: number;
  #share = 0;

  /**
   * Report progress.
   *
   * @param report Called with the share that is loaded, 0 … 1, which only grows; must not throw.
   * @param onAllocated Called when memory for the weights is there and nothing is in it; must not throw.
   * @param now Monotonic clock in milliseconds.
   */
  constructor(
    report: ((share: number) => void) | undefined,
    onAllocated: () => void = () => {},
    now: () => number = () => performance.now(),
  ) {
    this.#report = report;
    let isAllocated = false;
    this.#now = now;
    this.#told = now();
    this.#callback = new Deno.UnsafeCallback({ parameters: ["f32", "pointer"], result: "bool" }, (share) => {
      if (!isAllocated) onAllocated();
      isAllocated = true;
      this.#reached(share);
      return true;
    });
  }

  /** Read files into the system's page cache; what is there already is mostly skipped. */
  read(paths: readonly string[]): void {
    const buffer = new Uint8Array(CHUNK_BYTES);
    const sizes = paths.map((path) => Deno.statSync(path).size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let before = 0;
    for (const [index, path] of paths.entries()) {
      using file = Deno.openSync(path);
      for (let at = 0;;) {
        const started = this.#now();
        const read = file.readSync(buffer);
        if (read === null) break;
        at += read;
        if (this.#now() - started < IN_MEMORY_MS) at = file.seekSync(at + SKIPPED_BYTES, Deno.SeekMode.Start);
        this.#reached(Math.min(1, (before + at) / total));
      }
      before += sizes[index] ?? 0;
    }
  }

  /** Watch a load with these parameters; they must not be used after this is disposed of. */
  watch(params: Uint8Array<ArrayBuffer>): void {
    const address = Deno.UnsafePointer.value(this.#callback.pointer);
    dataView(params).setBigUint64(MODEL_PARAM.progressCallback, address, true);
  }

  [Symbol.dispose](): void {
    this.#callback.close();
  }

  #reached(share: number): void {
    if (share <= this.#share || this.#now() - this.#told < EVERY_MS) return;
    this.#told = this.#now();
    this.#share = share;
    this.#report?.(share);
  }
}
