import { assertEquals } from "@std/assert";
import { LargePages, type Range, without, writableRanges } from "../../../../../src/engine/native/libc/large_pages.ts";
import type { KernelFiles } from "../../../../../src/engine/native/libc/kernel_files.ts";

const MIB = 1024 * 1024;

/** A line of `/proc/self/maps`. */
const line = (from: number, to: number, rest = "rw-p 00000000 00:00 0 "): string =>
  `${from.toString(16)}-${to.toString(16)} ${rest}\n`;

/** The kernel's files, with these maps one after the other. */
function files(offered: string, maps: string[] = []): KernelFiles {
  return {
    exists: () => false,
    read: () => undefined,
    text: (path) => path === "/sys/kernel/mm/transparent_hugepage/enabled" ? offered : undefined,
    whole: (path) => path === "/proc/self/maps" ? maps.shift() : undefined,
    open: () => undefined,
  };
}

Deno.test("writableRanges are private and of no file", () => {
  const maps = line(0x1000, 0x3000) + line(0x3000, 0x4000, "rwxp 00000000 00:00 0 ") +
    line(0x5000, 0x6000, "r--p 00000000 fe:00 12                         /usr/lib/libc.so.6") +
    line(0x6000, 0x7000, "rw-p 00001000 fe:00 12                         /usr/lib/libc.so.6") +
    line(0x7000, 0x8000, "rw-s 00000000 00:01 0 ") +
    line(0x8000, 0x9000, "rw-p 00000000 00:00 0                   [heap]") +
    line(0x7f00_0000_0000, 0x7f00_0000_1000);
  assertEquals(writableRanges(maps), [{ from: 0x1000, to: 0x3000 }, { from: 0x7f00_0000_0000, to: 0x7f00_0000_1000 }]);
});

Deno.test("without leaves what is in none of the others", () => {
  const ranges = [{ from: 0, to: 10 }, { from: 20, to: 30 }];
  assertEquals(without(ranges, []), ranges);
  assertEquals(without(ranges, [{ from: 4, to: 6 }, { from: 8, to: 24 }]), [
    { from: 0, to: 4 },
    { from: 6, to: 8 },
    { from: 24, to: 30 },
  ]);
  assertEquals(without(ranges, [{ from: 0, to: 10 }, { from: 19, to: 31 }]), []);
});

Deno.test("LargePages are for large allocations made meanwhile", () => {
  const before = line(100 * MIB, 200 * MIB);
  // The kernel joins neighbours.
  const after = line(60 * MIB, 200 * MIB) + line(300 * MIB, 315 * MIB) + line(400 * MIB, 416 * MIB);
  const advised: Range[] = [];
  new LargePages(files("", [before, after]), (range) => advised.push(range)).use();
  assertEquals(advised, [{ from: 60 * MIB, to: 100 * MIB }, { from: 400 * MIB, to: 416 * MIB }]);
});

Deno.test("there are no large pages where the system's owner or the kernel has none", () => {
  assertEquals(LargePages.of(files("always madvise [never]\n")), undefined);
  assertEquals(LargePages.of({ ...files(""), text: () => undefined }), undefined);
});
