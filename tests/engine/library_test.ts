/** A native library of one's own: a folder like npm's, and folders that are not what they should be. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { isLibrary, packagedFolder } from "../../src/libraries/library_files.ts";
import type { FromEngine } from "../../src/engine/ipc/messages.ts";
import { EngineChild } from "./engine_child.ts";

interface Folder extends Disposable {
  readonly path: string;
}

/** A folder like npm's; what `change` gives takes a library's place, `null`: there is none. */
async function folderLike(
  change: (file: string) => Uint8Array<ArrayBuffer> | null | undefined = () => undefined,
): Promise<Folder> {
  const packaged = await packagedFolder();
  const path = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(packaged)) {
    const changed = change(join(packaged, name));
    if (changed === undefined) await Deno.symlink(join(packaged, name), join(path, name));
    else if (changed !== null) await Deno.writeFile(join(path, name), changed);
  }
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

const names = (file: string, library: string): boolean => isLibrary(file.split(/[/\\]/).at(-1) ?? "", library);

/** A file with one text in it in another's place, of the same length. */
function withText(file: string, [was, is]: readonly [string, string]): Uint8Array<ArrayBuffer> {
  const bytes = Deno.readFileSync(file);
  const text = new TextEncoder().encode(`\0${was}\0`);
  const at = bytes.findIndex((_, i) => text.every((byte, j) => bytes[i + j] === byte));
  assertEquals(at > 0, true, `"${was}" is in "${file}"`);
  bytes.set(new TextEncoder().encode(is), at + 1);
  return bytes;
}

/** What the engine says of a folder. */
async function check(libraryDir: string): Promise<FromEngine | undefined> {
  await using engine = EngineChild.spawn();
  await engine.send({ op: "check", libraryDir });
  await engine.exit();
  return engine.messages.at(-1);
}

Deno.test("engine answers with a library of one's own when it is given the folder", async () => {
  using folder = await folderLike();
  await using engine = await EngineChild.start({ libraryDir: folder.path });
  assertEquals((await engine.answer("What is the capital of France?")).text, "Paris.");
});

const wrongs: readonly [string, Parameters<typeof folderLike>[0], (folder: string) => string][] = [
  [
    "one of its libraries is missing",
    (file) => names(file, "llama") ? null : undefined,
    (folder) => `There is no "llama" library in "${folder}"`,
  ],
  [
    "one of its libraries is something else",
    (file) => names(file, "ggml-base") ? new TextEncoder().encode("This is a text about a library.") : undefined,
    (folder) => `Cannot open the "ggml-base" library in "${folder}": Could not open library: `,
  ],
  [
    "it is of another release",
    (file) => names(file, "ggml-base") ? withText(file, ["0.23.0", "0.22.9"]) : undefined,
    (folder) =>
      `The libraries in "${folder}" are llama.cpp 0.4.0-dev with ggml 0.22.9; they must be llama.cpp 0.4.0 with ggml 0.23.0`,
  ],
];
for (const [when, change, expected] of wrongs) {
  Deno.test(`engine says what is wrong with a library of one's own when ${when}`, async () => {
    using folder = await folderLike(change);
    const said = await check(folder.path);
    const message = said?.type === "fatal" ? said.message : JSON.stringify(said);
    const start = expected(folder.path);
    assertEquals(message.slice(0, start.length), start);
  });
}

Deno.test("engine says that there is no folder when there is none", async () => {
  const said = await check("/nonexistent/library");
  assertEquals(
    said?.type === "fatal" ? said.message.split(": ").slice(0, 2).join(": ") : said,
    'Cannot open the "ggml-base" library in "/nonexistent/library": No such file or directory (os error 2)',
  );
});
