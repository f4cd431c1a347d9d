import { assertEquals, assertRejects } from "@std/assert";
import { readTar, TarError } from "../../../../src/libraries/fetch/tar.ts";
import { type ArchiveEntry, tarOf } from "../../../support/package_archive.ts";

/** A stream of pieces of so many bytes. */
function pieces(bytes: Uint8Array<ArrayBuffer>, size: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller): void {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

async function read(bytes: Uint8Array<ArrayBuffer>, size = 4096): Promise<[string, string][]> {
  const files: [string, string][] = [];
  for await (const { path, content } of readTar(pieces(bytes, size))) {
    let text = "";
    for await (const piece of content) text += new TextDecoder().decode(piece);
    files.push([path, text]);
  }
  return files;
}

const FILES: readonly ArchiveEntry[] = [
  { path: "package/empty" },
  { path: "package/a.txt", content: "one" },
  { path: "b.txt", prefix: "package/deep", content: "x".repeat(512) },
  { path: "package/c.txt", content: "y".repeat(1300) },
];
const TEXTS = [
  ["package/empty", ""],
  ["package/a.txt", "one"],
  ["package/deep/b.txt", "x".repeat(512)],
  ["package/c.txt", "y".repeat(1300)],
];

for (const size of [1, 7, 511, 512, 513, 100_000]) {
  Deno.test(`readTar has every file whole when the archive comes in pieces of ${size}`, async () => {
    assertEquals(await read(tarOf(FILES), size), TEXTS);
  });
}

Deno.test("readTar passes over folders, extended headers and what nobody reads", async () => {
  const archive = tarOf([
    { path: "package/", type: "5" },
    { path: "pax", type: "x", content: "27 path=somewhere/else.txt\n" },
    ...FILES,
  ]);
  const paths: string[] = [];
  for await (const { path } of readTar(pieces(archive, 100))) paths.push(path);
  assertEquals(paths, TEXTS.map(([path]) => path));
});

const damaged = tarOf(FILES);
damaged[0] = 0x21;
const BAD: readonly [string, Uint8Array<ArrayBuffer>, string][] = [
  ["a name leads out of it", tarOf([{ path: "package/../../etc/passwd" }]), '"package/../../etc/passwd" leads out'],
  ["a name begins at the root", tarOf([{ path: "/etc/passwd" }]), '"/etc/passwd" leads out'],
  ["it has a link", tarOf([{ path: "package/l", type: "2" }]), '"package/l" is neither file nor folder'],
  ["it is cut within a file", tarOf(FILES).slice(0, 1100), "it is truncated"],
  ["it is cut between files", tarOf(FILES).slice(0, 1024), "it is truncated"],
  ["it is something else", new TextEncoder().encode("<html>".repeat(200)), "a header is damaged"],
  ["a header is damaged", damaged, "a header is damaged"],
];
for (const [when, bytes, message] of BAD) {
  Deno.test(`readTar refuses an archive when ${when}`, async () => {
    await assertRejects(() => read(bytes), TarError, message);
  });
}
