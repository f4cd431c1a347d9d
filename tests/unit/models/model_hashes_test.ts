import { assertEquals, assertRejects } from "@std/assert";
import { hashModelFile, ModelFileError } from "../../../src/models/model_file.ts";
import { ModelHashes } from "../../../src/models/model_hashes.ts";

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/** A folder with a file, and hashes that count. */
class Scene implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-" });
  readonly path = `${this.dir}/model`;
  readonly signal = new AbortController();
  read: string[] = [];
  announced = 0;
  hash = hashModelFile;
  readonly hashes = new ModelHashes({
    hash: (path, signal) => {
      this.read.push(path);
      return this.hash(path, signal);
    },
  });

  constructor() {
    Deno.writeTextFileSync(this.path, "abc");
  }

  sha256(path: string = this.path): Promise<string> {
    return this.hashes.sha256(path, { signal: this.signal.signal, onWork: () => this.announced++ });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("a model file is hashed once, also when two ask at once or by another name", async () => {
  await using scene = new Scene();
  await Deno.symlink(scene.path, `${scene.dir}/link`);
  await Deno.link(scene.path, `${scene.dir}/hard`);
  assertEquals(await Promise.all([scene.sha256(), scene.sha256()]), [ABC, ABC]);
  assertEquals([await scene.sha256(`${scene.dir}/link`), await scene.sha256(`${scene.dir}/hard`)], [ABC, ABC]);
  assertEquals([scene.read, scene.announced], [[scene.path], 1]);
});

Deno.test("a model file is hashed again when it has been written or replaced", async () => {
  await using scene = new Scene();
  assertEquals(await scene.sha256(), ABC);
  await Deno.utime(scene.path, new Date(), new Date(1_000_000));
  assertEquals(await scene.sha256(), ABC);
  await Deno.writeTextFile(`${scene.dir}/other`, "");
  await Deno.rename(`${scene.dir}/other`, scene.path);
  assertEquals(await scene.sha256(), EMPTY);
  assertEquals([scene.read.length, scene.announced], [3, 3]);
});

Deno.test("a model file that cannot be hashed is tried again", async () => {
  await using scene = new Scene();
  await assertRejects(() => scene.sha256(`${scene.dir}/none`), ModelFileError, "no such file");
  scene.hash = async (path, signal) => ({ ...await hashModelFile(path, signal), changed: true });
  await assertRejects(() => scene.sha256(), ModelFileError, "it changed while");
  scene.hash = hashModelFile;
  assertEquals(await scene.sha256(), ABC);
});

Deno.test("hashing ends when the signal says so", async () => {
  await using scene = new Scene();
  scene.signal.abort(new Error("mine"));
  await assertRejects(() => scene.sha256(), Error, "mine");
  assertEquals(scene.read, []);
});
