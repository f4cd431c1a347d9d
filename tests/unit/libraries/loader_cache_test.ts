import { assertEquals } from "@std/assert";
import { parseLoaderCache } from "../../../src/libraries/loader_cache.ts";

const X86_64 = 0x0303;
const I386 = 0x0003;

/** A cache as `ldconfig` writes it. */
function cache(entries: readonly (readonly [number, string, string])[], before = 0): Uint8Array {
  const encoder = new TextEncoder();
  const texts: number[] = [];
  const headBytes = 48 + entries.length * 24;
  const place = (text: string): number => {
    const at = headBytes + texts.length;
    texts.push(...encoder.encode(text), 0);
    return at;
  };
  const view = new DataView(new ArrayBuffer(headBytes));
  encoder.encode("glibc-ld.so.cache1.1").forEach((byte, at) => view.setUint8(at, byte));
  view.setUint32(20, entries.length, true);
  entries.forEach(([flags, name, path], index) => {
    const at = 48 + index * 24;
    view.setUint32(at, flags, true);
    view.setUint32(at + 4, place(name), true);
    view.setUint32(at + 8, place(path), true);
  });
  return new Uint8Array([...new Uint8Array(before).fill(103), ...new Uint8Array(view.buffer), ...texts]);
}

const ENTRIES = [
  [I386, "libcuda.so.1", "/usr/lib32/libcuda.so.1"],
  [X86_64, "libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"],
  [X86_64, "libcuda.so.1", "/usr/lib/later/libcuda.so.1"],
  [X86_64, "libvulkan.so.1", "/usr/lib/x86_64-linux-gnu/libvulkan.so.1"],
] as const;

Deno.test("parseLoaderCache has the first path of each library for the processor", () => {
  assertEquals(
    [...parseLoaderCache(cache(ENTRIES), "x86_64")],
    [
      ["libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1"],
      ["libvulkan.so.1", "/usr/lib/x86_64-linux-gnu/libvulkan.so.1"],
    ],
  );
  assertEquals(parseLoaderCache(cache(ENTRIES), "aarch64").size, 0);
});

Deno.test("parseLoaderCache finds the cache when an older one stands before it", () => {
  assertEquals(parseLoaderCache(cache(ENTRIES, 1000), "x86_64").size, 2);
});

Deno.test("parseLoaderCache takes what is there when the file is cut or something else", () => {
  const whole = cache(ENTRIES);
  for (let length = 0; length < whole.length; length++) {
    const paths = parseLoaderCache(whole.subarray(0, length), "x86_64");
    assertEquals(paths.size <= 2, true);
  }
  assertEquals(parseLoaderCache(new TextEncoder().encode("glibc, but no cache"), "x86_64").size, 0);
});

Deno.test({
  name: "parseLoaderCache finds the C library in this machine's cache",
  ignore: Deno.build.os !== "linux" || !(await Deno.stat("/etc/ld.so.cache").then(() => true, () => false)),
  fn: () => {
    const paths = parseLoaderCache(Deno.readFileSync("/etc/ld.so.cache"), Deno.build.arch);
    assertEquals(Deno.statSync(paths.get("libc.so.6") ?? "").isFile, true);
  },
});
