import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { checkModelFile, ModelFileError, sameFile, verifyModelFile } from "../../../src/models/model_file.ts";

/** Of nothing in particular. */
const SHA256 = "0b1d29a7db32f93a90ec85fbd5a5c9b4cb4c6a1f1d5a9d4d3b1d2d6bcf4ac2c4";

async function withDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-model-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

async function message(work: () => Promise<unknown>): Promise<string> {
  return (await assertRejects(work, ModelFileError)).message;
}

Deno.test("checkModelFile says what is wrong when the path is no model", () =>
  withDir(async (dir) => {
    Deno.writeTextFileSync(`${dir}/text`, "hello");
    Deno.writeTextFileSync(`${dir}/short`, "GG");
    assertEquals(await message(() => checkModelFile(`${dir}/no`)), `Cannot load model "${dir}/no": no such file`);
    assertEquals(await message(() => checkModelFile(dir)), `Cannot load model "${dir}": it is a directory`);
    assertEquals(
      await message(() => checkModelFile("/dev/null")),
      'Cannot load model "/dev/null": it is not a regular file',
    );
    for (const name of ["text", "short"]) {
      assertEquals(
        await message(() => checkModelFile(`${dir}/${name}`)),
        `Cannot load model "${dir}/${name}": it is not a GGUF file`,
      );
    }
  }));

Deno.test("checkModelFile sees another file when it was replaced, renamed or written to", () =>
  withDir(async (dir) => {
    const path = `${dir}/model`;
    Deno.writeTextFileSync(path, "GGUFabc");
    const before = await checkModelFile(path);
    assert(sameFile(before, await checkModelFile(path)));
    Deno.writeTextFileSync(`${dir}/other`, "GGUFabc");
    Deno.renameSync(`${dir}/other`, path);
    const replaced = await checkModelFile(path);
    assert(!sameFile(before, replaced));
    // Long enough for the coarsest clock of a file system in use here.
    Deno.utimeSync(path, new Date(), new Date(Date.now() - 60_000));
    assert(!sameFile(replaced, await checkModelFile(path)));
  }));

Deno.test("verifyModelFile accepts when the hash is the configured one", () =>
  withDir(async (dir) => {
    const path = `${dir}/model`;
    const content = "GGUF" + "x".repeat(3_000_000);
    Deno.writeTextFileSync(path, content);
    const identity = await verifyModelFile(path, { sha256: await sha256(content) });
    assert(sameFile(identity, await checkModelFile(path)));
  }));

Deno.test("verifyModelFile names both hashes when they differ", () =>
  withDir(async (dir) => {
    const path = `${dir}/model`;
    Deno.writeTextFileSync(path, "GGUFabc");
    assertEquals(
      await message(() => verifyModelFile(path, { sha256: SHA256 })),
      `Cannot load model "${path}": its SHA-256 is ${await sha256("GGUFabc")}, the configured one is ${SHA256}`,
    );
  }));

Deno.test("verifyModelFile gives up with the reason when the signal fires", () =>
  withDir(async (dir) => {
    const path = `${dir}/model`;
    Deno.writeTextFileSync(path, "GGUFabc");
    const reason = new Error("enough");
    const work = (): Promise<unknown> => verifyModelFile(path, { sha256: SHA256, signal: AbortSignal.abort(reason) });
    assertStrictEquals(await assertRejects(work), reason);
  }));
