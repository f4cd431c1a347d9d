/**
 * Gives back memory that a process which now idles would keep: garbage, what malloc holds free, and, if wished, the pages
 * of Deno's executable that only starting needed. The kernel reads such a page again when it is used.
 */
import { permittedLibcPaths } from "./kernel.ts";

const DEFAULT_IDLE_MS = 1000;
/** While requests run, so many of these times go by: collecting garbage takes 50 ms beside threads that compute. */
const MOST_BUSY_TIMES = 30;
const MADV_DONTNEED = 4;
/** Entries of the auxiliary vector: address, entry size and number of the executable's program headers. */
const AT_PHDR = 3n;
const AT_PHENT = 4n;
const AT_PHNUM = 5n;
const PT_LOAD = 1;
const PT_PHDR = 6;
const PF_W = 2;
/** As large as a page is anywhere. */
const PAGE_BYTES = 65_536n;

/** Of glibc. */
const TRIM = { malloc_trim: { parameters: ["usize"], result: "i32" } } as const;
const PAGES = {
  getauxval: { parameters: ["u64"], result: "u64" },
  madvise: { parameters: ["u64", "u64", "i32"], result: "i32" },
  // Reads memory at an address; Deno's own function requires full permissions.
  memcpy: { parameters: ["buffer", "u64", "u64"], result: "u64" },
} as const;

/** A range of addresses. */
interface Pages {
  readonly from: bigint;
  readonly bytes: bigint;
}

/** The memory of this process. */
export class IdleMemory {
  readonly #malloc: Deno.StaticForeignLibraryInterface<typeof TRIM> | undefined;
  readonly #dropText: () => void;
  readonly #idleMs: number;
  readonly #isBusy: () => boolean;
  #collect: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Opens libc where that is permitted; the permission is not needed later.
   *
   * @param options.text Whether the executable's pages are given back, too. Not for a process that reads what clients
   * send: the functions for that reach any memory.
   * @param options.idleMs Idle time in milliseconds before memory is given back.
   * @param options.isBusy Whether somebody would wait for it; then it is put off, up to {@linkcode MOST_BUSY_TIMES} times.
   */
  constructor({ text, idleMs = DEFAULT_IDLE_MS, isBusy = (): boolean => false }: {
    readonly text: boolean;
    readonly idleMs?: number;
    readonly isBusy?: () => boolean;
  }) {
    this.#idleMs = idleMs;
    this.#isBusy = isBusy;
    this.#malloc = openLibc(TRIM);
    const libc = text ? openLibc(PAGES) : undefined;
    const pages = libc === undefined ? [] : readOnlyPages(libc);
    this.#dropText = (): void => {
      for (const { from, bytes } of pages) libc?.madvise(from, bytes, MADV_DONTNEED);
    };
  }

  /** Give memory back once this has not been called for a while. Keeps no process alive. */
  giveBackSoon(): void {
    this.#giveBackLater(MOST_BUSY_TIMES);
  }

  #giveBackLater(times: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (times > 1 && this.#isBusy()) this.#giveBackLater(times - 1);
      else void this.giveBack();
    }, this.#idleMs);
    Deno.unrefTimer(this.#timer);
  }

  /** Give memory back now. */
  async giveBack(): Promise<void> {
    (this.#collect ??= await collector())();
    this.#malloc?.malloc_trim(0n);
    this.#dropText();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Loaded late: starting must not wait for it. */
async function collector(): Promise<() => void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import("node:v8"), import("node:vm")]);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

function openLibc<const Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.StaticForeignLibraryInterface<Symbols> | undefined {
  if (Deno.build.os !== "linux") return undefined;
  for (const path of permittedLibcPaths()) {
    try {
      return Deno.dlopen(path, symbols).symbols;
    } catch {
      // elsewhere on this system, or another libc
    }
  }
  return undefined;
}

/** The parts of the executable that nothing has written to: only those can be read again. */
function readOnlyPages({ getauxval, memcpy }: Deno.StaticForeignLibraryInterface<typeof PAGES>): Pages[] {
  const [at, entry, count] = [getauxval(AT_PHDR), Number(getauxval(AT_PHENT)), Number(getauxval(AT_PHNUM))];
  const table = new Uint8Array(entry * count);
  memcpy(table, at, BigInt(table.length));
  const segments = Array.from({ length: count }, (_, index) => {
    const header = new DataView(table.buffer, index * entry, entry);
    return {
      type: header.getUint32(0, true),
      flags: header.getUint32(4, true),
      address: header.getBigUint64(16, true),
      bytes: header.getBigUint64(40, true),
    };
  });
  const headers = segments.find(({ type }) => type === PT_PHDR);
  if (headers === undefined) return [];
  const base = at - headers.address;
  return segments.filter(({ type, flags }) => type === PT_LOAD && (flags & PF_W) === 0).map(({ address, bytes }) => {
    const from = (base + address + PAGE_BYTES - 1n) / PAGE_BYTES * PAGE_BYTES;
    const end = (base + address + bytes) / PAGE_BYTES * PAGE_BYTES;
    return { from, bytes: end > from ? end - from : 0n };
  });
}
