import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { BUILT_INS } from "../../../../src/models/built_in.ts";
import {
  checkModel,
  lookAtModelFile,
  ModelFileError,
  type ModelFileFault,
  sameFile,
  verifyModel,
} from "../../../../src/models/file/model_file.ts";
import { modelHash, shardFileName } from "../../../../src/models/file/shards.ts";
import { modelBytes, splitModel } from "../../../support/gguf_files.ts";
import { sha256Of } from "../../../support/model_store.ts";
import { inFolder } from "../../../support/folders.ts";

/** Of nothing in particular. */
const SHA256 = "0b1d29a7db32f93a90ec85fbd5a5c9b4cb4c6a1f1d5a9d4d3b1d2d6bcf4ac2c4";
const SHARDS = await splitModel(Deno.readFileSync(BUILT_INS["inferd-tiny"].url), 3);
const shard = (index: number): Uint8Array<ArrayBuffer> => SHARDS[index - 1] ?? new Uint8Array();

/** A folder with a split model in it. */
function withSet(work: (dir: string, path: (index: number) => string) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const path = (index: number): string => `${dir}/${shardFileName("x", index, 3)}`;
    for (const index of [1, 2, 3]) Deno.writeFileSync(path(index), shard(index));
    await work(dir, path);
  });
}

async function refused(work: () => Promise<unknown>, fault: ModelFileFault): Promise<string> {
  const error = await assertRejects(work, ModelFileError);
  assertEquals(error.fault, fault, error.message);
  return error.message;
}

Deno.test("checkModel says what is wrong when the path is no model", () =>
  inFolder(async (dir) => {
    const model = modelBytes(5000);
    const files: readonly (readonly [string, ModelFileFault, string, string | Uint8Array])[] = [
      ["text", "not_gguf", "it is not a GGUF file", "hello"],
      ["short", "not_gguf", "it is not a GGUF file", "GG"],
      ["magic", "cut", "it is truncated: it ends within its header, after 4 bytes", "GGUF"],
      ["half", "cut", "it is truncated: 2500 of its 5000 bytes are there", model.slice(0, 2500)],
      ["less", "cut", "it is truncated: 4999 of its 5000 bytes are there", model.slice(0, 4999)],
    ];
    for (const [name, fault, reason, content] of files) {
      const path = `${dir}/${name}`;
      if (typeof content === "string") Deno.writeTextFileSync(path, content);
      else Deno.writeFileSync(path, content);
      assertEquals(await refused(() => checkModel(path), fault), `Cannot load model "${path}": ${reason}`);
    }
    assertEquals(
      await refused(() => checkModel(`${dir}/no`), "missing"),
      `Cannot load model "${dir}/no": no such file`,
    );
    assertEquals(await refused(() => checkModel(dir), "unreadable"), `Cannot load model "${dir}": it is a directory`);
    assertEquals(
      await refused(() => checkModel("/dev/null"), "unreadable"),
      'Cannot load model "/dev/null": it is not a regular file',
    );
    // Twenty-four bytes that say that nothing follows.
    Deno.writeFileSync(`${dir}/empty`, new Uint8Array([0x47, 0x47, 0x55, 0x46, 3, ...new Uint8Array(19)]));
    assert((await refused(() => checkModel(`${dir}/empty`), "damaged")).endsWith("it has no tensors, only metadata"));
  }));

Deno.test("checkModel finds the files of a split model, whichever is given", () =>
  withSet(async (_dir, path) => {
    const paths = [1, 2, 3].map(path);
    for (const given of paths) assertEquals((await checkModel(given)).map(({ path }) => path), paths);
    // Under any names, where it is told which.
    const named = paths.map((path, index) => `${path}.${index}`);
    paths.forEach((path, index) => Deno.renameSync(path, named[index] ?? ""));
    assertEquals((await checkModel(named[0] ?? "", named)).map(({ path }) => path), named);
  }));

Deno.test("checkModel says which file of a split model is missing or wrong", () =>
  withSet(async (dir, path) => {
    const ordinary = `${dir}/ordinary.gguf`;
    Deno.copyFileSync(path(1), ordinary);
    assertEquals(
      await refused(() => checkModel(ordinary), "split"),
      `Cannot load model "${ordinary}": it is file 1 of 3 of a split model; put all 3 into one folder, each under its ` +
        'own name ("NAME-00001-of-00003.gguf"), or join them (llama-gguf-split --merge)',
    );
    // A name that says something else than the file.
    Deno.copyFileSync(path(2), `${dir}/y-00001-of-00003.gguf`);
    assert((await refused(() => checkModel(`${dir}/y-00001-of-00003.gguf`), "split")).includes("it is file 2 of 3"));

    Deno.renameSync(path(3), `${dir}/away`);
    assertEquals(
      await refused(() => checkModel(path(1)), "missing"),
      `Cannot load model "${path(3)}": no such file; the model is split, and this is file 3 of 3`,
    );
    Deno.copyFileSync(path(2), path(3));
    assert((await refused(() => checkModel(path(1)), "split")).includes("should be file 3 of 3, but is file 2 of 3"));
    Deno.writeFileSync(path(3), modelBytes(5000));
    assert((await refused(() => checkModel(path(1)), "split")).includes("but is a model by itself"));
    Deno.writeFileSync(path(3), shard(3).subarray(0, -1));
    assert((await refused(() => checkModel(path(1)), "cut")).includes(path(3)));
    const other = await splitModel(Deno.readFileSync(BUILT_INS["inferd-tiny-embed"].url), 3);
    Deno.writeFileSync(path(3), other[2] ?? new Uint8Array());
    assert((await refused(() => checkModel(path(1)), "split")).includes("it is file 3 of 3 of another model"));
  }));

Deno.test("checkModel takes a whole model whatever its name looks like", () =>
  inFolder(async (dir) => {
    for (const name of ["x-00002-of-00001.gguf", "x-00001-of-00003.gguf", "x.gguf.part1of2"]) {
      Deno.writeFileSync(`${dir}/${name}`, modelBytes(5000));
      assertEquals((await checkModel(`${dir}/${name}`)).map(({ path }) => path), [`${dir}/${name}`]);
    }
  }));

Deno.test("lookAtModelFile sees another file when it was replaced, renamed or written to", () =>
  inFolder(async (dir) => {
    const path = `${dir}/model`;
    Deno.writeTextFileSync(path, "GGUFabc");
    const before = await lookAtModelFile(path);
    assert(sameFile(before, await lookAtModelFile(path)));
    Deno.writeTextFileSync(`${dir}/other`, "GGUFabc");
    Deno.renameSync(`${dir}/other`, path);
    const replaced = await lookAtModelFile(path);
    assert(!sameFile(before, replaced));
    // Long enough for the coarsest clock of a file system in use here.
    Deno.utimeSync(path, new Date(), new Date(Date.now() - 60_000));
    assert(!sameFile(replaced, await lookAtModelFile(path)));
  }));

Deno.test("verifyModel accepts when the hash is the configured one, and names both when they differ", () =>
  inFolder(async (dir) => {
    const path = `${dir}/model`;
    const content = modelBytes(3_000_000);
    Deno.writeFileSync(path, content);
    const files = await checkModel(path);
    const sha256 = await sha256Of(content);
    await verifyModel(files, { sha256 });
    assertEquals(
      await refused(() => verifyModel(files, { sha256: SHA256 }), "hash"),
      `Cannot load model "${path}": its SHA-256 is ${sha256}, the configured one is ${SHA256}`,
    );
    Deno.utimeSync(path, new Date(), new Date(Date.now() - 60_000));
    await refused(() => verifyModel(files, { sha256 }), "changed");
  }));

Deno.test("verifyModel covers every file of a split model", () =>
  withSet(async (_dir, path) => {
    const files = await checkModel(path(1));
    const parts = await Promise.all(SHARDS.map(sha256Of));
    const sha256 = await modelHash(parts);
    // As everybody can compute it.
    assertEquals(sha256, await sha256Of(new TextEncoder().encode(parts.map((hash) => `${hash}\n`).join(""))));
    await verifyModel(files, { sha256 });
    await verifyModel(files, { sha256, parts });
    const first = await refused(() => verifyModel(files, { sha256: parts[0] ?? "" }), "hash");
    assert(first.includes(`is that of its first file alone; that of all 3 is ${sha256}`), first);
    // Nothing but zeros in the middle of the last one.
    const damaged = shard(3).slice();
    damaged.fill(0, 400_000, 550_000);
    Deno.writeFileSync(path(3), damaged);
    const again = await checkModel(path(1));
    await refused(() => verifyModel(again, { sha256 }), "hash");
    const named = await refused(() => verifyModel(again, { sha256, parts }), "hash");
    assert(named.startsWith(`Cannot load model "${path(3)}": its SHA-256 is ${await sha256Of(damaged)}`), named);
  }));

Deno.test("verifyModel gives up with the reason when the signal fires", () =>
  inFolder(async (dir) => {
    const path = `${dir}/model`;
    Deno.writeFileSync(path, modelBytes(300));
    const files = await checkModel(path);
    const reason = new Error("enough");
    const work = (): Promise<unknown> => verifyModel(files, { sha256: SHA256, signal: AbortSignal.abort(reason) });
    assertStrictEquals(await assertRejects(work), reason);
  }));
