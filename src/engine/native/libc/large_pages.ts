/**
 * Large pages (2 MiB) for the memory of weights and caches. Each token reads them from end to end, and with small pages a
 * tenth of that time is spent finding these. Linux.
 *
 * glibc's own setting for it (`glibc.malloc.hugetlb`) works by chance in versions that are still in use.
 */
import { LIBC } from "./c_library.ts";
import { type KernelFiles, kernelFiles } from "./kernel_files.ts";

/** Smaller allocations gain nothing, and JavaScript's own are among them. */
const LEAST_BYTES = 16 * 1024 * 1024;
/** "always [madvise] never": which of them holds. */
const OFFERED = "/sys/kernel/mm/transparent_hugepage/enabled";
const MAPS = "/proc/self/maps";
const MADV_HUGEPAGE = 14;

/** Addresses, the end excluded. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Large pages for what this process allocates from now on. */
export class LargePages {
  readonly #advise: (range: Range) => void;
  readonly #ranges: () => Range[];
  readonly #before: readonly Range[];

  /** @param advise Asks the kernel for large pages. */
  constructor(files: KernelFiles, advise: (range: Range) => void) {
    this.#advise = advise;
    this.#ranges = (): Range[] => writableRanges(files.whole(MAPS) ?? "");
    this.#before = this.#ranges();
  }

  /** @returns `undefined` where there are none, or where the system's owner wants none. Needs `ffi`. */
  static of(files: KernelFiles | undefined = kernelFiles()): LargePages | undefined {
    const offered = files?.text(OFFERED);
    if (files === undefined || offered === undefined || offered.includes("[never]")) return undefined;
    const { madvise } = Deno.dlopen(LIBC, {
      madvise: { parameters: ["u64", "usize", "i32"], result: "i32" },
    }).symbols;
    return new LargePages(files, ({ from, to }) => void madvise(BigInt(from), BigInt(to - from), MADV_HUGEPAGE));
  }

  /** Ask for them for what was allocated meanwhile; what is written to before gets small ones. */
  use(): void {
    const added = without(this.#ranges(), this.#before);
    for (const range of added) if (range.to - range.from >= LEAST_BYTES) this.#advise(range);
  }
}

/**
 * Private memory that may be read and written, and belongs to no file.
 *
 * @param maps Text of `/proc/self/maps`.
 */
export function writableRanges(maps: string): Range[] {
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *$/gm)].map(([, from = "", to = ""]) => ({
    from: parseInt(from, 16),
    to: parseInt(to, 16),
  }));
}

/** Parts of ranges that are in none of the others. */
export function without(ranges: readonly Range[], others: readonly Range[]): readonly Range[] {
  return others.reduce(
    (left, other) =>
      left.flatMap(({ from, to }) =>
        [{ from, to: Math.min(to, other.from) }, { from: Math.max(from, other.to), to }]
          .filter(({ from, to }) => from < to)
      ),
    ranges,
  );
}
