/** `Store.importFile` and `findForeignModels` on real folders. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { findForeignModels } from "../../src/models/foreign.ts";
import { type ImportOptions, ModelStoreError } from "../../src/models/store.ts";
import { blobFile, modelBytes, sha256Of, TempStore } from "../support/model_store.ts";
import { inTime } from "../support/waiting.ts";

const CONTENT = modelBytes(400_001);
const SHA256 = await sha256Of(CONTENT);

async function withFile(work: (store: TempStore, path: string) => Promise<void>): Promise<void> {
  await using store = new TempStore();
  const path = `${store.dir}/My model (v1).gguf`;
  Deno.writeFileSync(path, CONTENT);
  await work(store, path);
}

async function code(store: TempStore, path: string, options?: ImportOptions): Promise<string> {
  const { code, message } = await assertRejects(() => store.importFile(path, options), ModelStoreError);
  assert(message.includes(path.split("/").at(-1) ?? "?") || code === "bad_name", message);
  return code;
}

Deno.test("importFile gives the file a second name where the file system can", () =>
  withFile(async (store, path) => {
    const imported = await store.importFile(path);
    assertEquals([imported.name, imported.sha256, imported.how], ["My-model-v1-", SHA256, "linked"]);
    assertEquals(Deno.statSync(imported.path).ino, Deno.statSync(path).ino);
    assertEquals(store.files(), [blobFile(SHA256), "manifests/My-model-v1-.json"]);
    const model = await store.find("My-model-v1-");
    assertEquals(model?.source, { registry: "file", repo: null, revision: null, filename: "My model (v1).gguf" });
    assertEquals((await store.importFile(path, { name: "b" })).how, "present");
  }));

Deno.test("importFile copies when it shall not link, or the store is on another file system", () =>
  withFile(async (store, path) => {
    const imported = await store.importFile(path, { link: false });
    assertEquals(imported.how, "copied");
    assertNotEquals(Deno.statSync(imported.path).ino, Deno.statSync(path).ino);
    assertEquals(Deno.readFileSync(imported.path), CONTENT);
    assertEquals(store.files().length, 2);
  }));

Deno.test("importFile copies when Deno was given no write permission for the file", () =>
  withFile(async (store, path) => {
    const script = `import { Store } from ${JSON.stringify(new URL("../../src/models/store.ts", import.meta.url).href)};
      console.log((await new Store(${JSON.stringify(store.root)}).importFile(${JSON.stringify(path)})).how);`;
    const file = `${store.dir}/import.ts`;
    Deno.writeTextFileSync(file, script);
    const run = async (...write: readonly string[]): Promise<string> => {
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const args = ["run", "--no-check", "--no-prompt", "--config", config, `--allow-read=${store.root},${path}`];
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, `--allow-write=${[store.root, ...write].join(",")}`, file],
      }).output();
      return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    };
    assertEquals(await run(), "copied\n");
    await store.remove("My-model-v1-");
    assertEquals(await run(path), "linked\n");
  }));

Deno.test("importFile follows a symbolic link to the file itself", () =>
  withFile(async (store, path) => {
    Deno.symlinkSync(path, `${store.dir}/link.gguf`);
    const imported = await store.importFile(`${store.dir}/link.gguf`);
    assertEquals(imported.name, "link");
    assert(Deno.lstatSync(imported.path).isFile);
  }));

Deno.test("importFile removes the file when it is to be moved", () =>
  withFile(async (store, path) => {
    const imported = await store.importFile(path, { move: true });
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
    assertEquals(Deno.readFileSync(imported.path), CONTENT);
    // Moving the blob itself would leave nothing.
    await store.importFile(imported.path, { name: "again", move: true });
    assertEquals(Deno.readFileSync(imported.path), CONTENT);
  }));

Deno.test("importFile repairs a blob that is not what its place says", () =>
  withFile(async (store, path) => {
    const { path: blob } = await store.importFile(path, { link: false });
    Deno.writeTextFileSync(blob, "GGUF");
    await store.importFile(path);
    assertEquals(Deno.readFileSync(blob), CONTENT);
  }));

Deno.test("importFile refuses what is no model, cut, damaged, or another hash than said, and takes none of it in", () =>
  withFile(async (store, path) => {
    const file = (name: string, content: string | Uint8Array): string => {
      const path = `${store.dir}/${name}`;
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
      return path;
    };
    const damaged = (at: number, byte: number): Uint8Array => {
      const bytes = CONTENT.slice();
      bytes[at] = byte;
      return bytes;
    };
    assertEquals(await code(store, file("text.gguf", "hello")), "not_gguf");
    assertEquals(await code(store, file("none.gguf", "")), "not_gguf");
    assertEquals(await code(store, `${store.dir}/missing.gguf`), "not_found");
    assertEquals(await code(store, store.dir), "io");
    for (const length of [4, 73, 100, CONTENT.length >> 1, CONTENT.length - 1]) {
      assertEquals(await code(store, file("cut.gguf", CONTENT.subarray(0, length))), "cut", String(length));
    }
    // Another version, 2^60 keys.
    assertEquals(await code(store, file("v9.gguf", damaged(4, 9))), "damaged");
    assertEquals(await code(store, file("keys.gguf", damaged(23, 16))), "damaged");
    assertEquals(await code(store, path, { sha256: "0".repeat(64) }), "mismatch");
    assertEquals(await code(store, path, { name: ".hidden" }), "bad_name");
    assertEquals(store.files(), []);
    const { message } = await assertRejects(() => store.importFile(`${store.dir}/cut.gguf`), ModelStoreError);
    assertEquals(
      message,
      `Cannot import "${store.dir}/cut.gguf": it is truncated: ${
        CONTENT.length - 1
      } of its ${CONTENT.length} bytes are there`,
    );
  }));

Deno.test("importFile takes a whole model whose name looks like that of a part", () =>
  withFile(async (store, path) => {
    for (const name of ["x-00002-of-00001", "y-00001-of-00003"]) {
      Deno.copyFileSync(path, `${store.dir}/${name}.gguf`);
      assertEquals((await store.importFile(`${store.dir}/${name}.gguf`)).sha256, SHA256);
    }
  }));

Deno.test("findForeignModels skips what is no regular file, and what is too large for a manifest", {
  ignore: Deno.build.os === "windows",
}, () =>
  withFile(async (store) => {
    const home = `${store.dir}/home`;
    const manifests = `${home}/.ollama/models/manifests/registry.ollama.ai/library`;
    const repo = `${home}/.lmstudio/models/publisher/repo`;
    for (const dir of [`${manifests}/fifo`, `${manifests}/large`, `${manifests}/dir/latest`, `${repo}/dir.gguf`]) {
      Deno.mkdirSync(dir, { recursive: true });
    }
    for (const pipe of [`${manifests}/fifo/latest`, `${repo}/pipe.gguf`]) {
      assert((await new Deno.Command("mkfifo", { args: [pipe] }).output()).success);
    }
    const layers = [{ mediaType: "application/vnd.ollama.image.model", digest: `sha256:${SHA256}` }];
    Deno.mkdirSync(`${home}/.ollama/models/blobs`);
    Deno.writeFileSync(`${home}/.ollama/models/blobs/sha256-${SHA256}`, CONTENT);
    Deno.writeTextFileSync(`${manifests}/large/latest`, JSON.stringify({ layers, rest: "x".repeat(2 ** 20) }));
    const found = findForeignModels({ home, env: () => undefined });
    assertEquals(await inTime("models, though no named pipe has a writer", found), []);
  }));

Deno.test("findForeignModels finds what Ollama and LM Studio have, and importing makes no second copy", () =>
  withFile(async (store) => {
    const home = `${store.dir}/home`;
    const ollama = `${home}/.ollama/models`;
    const write = (path: string, content: string | Uint8Array): void => {
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
    };
    const layers = [
      { mediaType: "application/vnd.ollama.image.template", digest: `sha256:${"1".repeat(64)}` },
      { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${SHA256}` },
    ];
    write(`${ollama}/blobs/sha256-${SHA256}`, CONTENT);
    write(`${ollama}/manifests/registry.ollama.ai/library/llama3.2/1b`, JSON.stringify({ layers }));
    write(`${ollama}/manifests/hf.co/me/mine/latest`, JSON.stringify({ layers }));
    write(`${ollama}/manifests/registry.ollama.ai/library/gone/latest`, JSON.stringify({ layers: [layers[0]] }));
    write(`${ollama}/manifests/registry.ollama.ai/library/broken/latest`, "{");
    const other = modelBytes(1000, 5);
    for (const name of ["Small-Q4.gguf", "mmproj-Small.gguf", "Big-00001-of-00002.gguf", "README.md"]) {
      write(`${home}/.lmstudio/models/publisher/repo/${name}`, other);
    }
    const found = await findForeignModels({ home, env: () => undefined });
    assertEquals(found.map(({ tool, title, name, sha256 }) => [tool, title, name, sha256]), [
      ["ollama", "hf.co/me/mine:latest", "hf.co-me-mine-latest", SHA256],
      ["ollama", "llama3.2:1b", "llama3.2-1b", SHA256],
      ["lmstudio", "publisher/repo/Small-Q4.gguf", "Small-Q4", undefined],
    ]);
    for (const { path, ...options } of found) await store.importFile(path, options);
    for (const { path, name } of found) {
      const model = await store.find(name);
      assertEquals(Deno.statSync(model?.path ?? "").ino, Deno.statSync(path).ino);
    }
    const env = (name: string): string | undefined => name === "OLLAMA_MODELS" ? ollama : undefined;
    // Without a home nothing is looked for where one happens to stand.
    const before = Deno.cwd();
    Deno.chdir(home);
    try {
      assertEquals(await findForeignModels({ home: undefined, env: () => undefined }), []);
      assertEquals((await findForeignModels({ home: "", env })).length, 2);
    } finally {
      Deno.chdir(before);
    }
    assertEquals((await findForeignModels({ home: "/nonexistent", env })).length, 2);

    // Ollama's name of a blob is its hash, and is checked.
    write(`${ollama}/blobs/sha256-${SHA256}`, other);
    const [first] = await findForeignModels({ home, env });
    assert(first !== undefined);
    assertEquals(await code(store, first.path, first), "mismatch");
  }));
