import { assertEquals, assertRejects } from "@std/assert";
import { hashModelFile, lookAtModelFile, ModelFileError } from "../../../../src/models/file/model_file.ts";
import { ModelHashes } from "../../../../src/models/file/model_hashes.ts";

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
  readonly cachePath = `${this.dir}/cache/model-hashes.json`;
  hashes: ModelHashes;

  constructor(cached = false) {
    Deno.writeTextFileSync(this.path, "abc");
    this.hashes = this.start(cached);
  }

  /** Hashes as a daemon that starts has them. */
  start(cached: boolean): ModelHashes {
    const hashes = new ModelHashes({
      ...(cached ? { cachePath: this.cachePath } : {}),
      hash: (path, signal) => {
        this.read.push(path);
        return this.hash(path, signal);
      },
    });
    hashes.prepare();
    return hashes;
  }

  sha256(path: string = this.path): Promise<string> {
    return this.hashes.sha256([{ path }], { signal: this.signal.signal, onWork: () => this.announced++ });
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

Deno.test("a model file is not read again after the next start, until it is another", async () => {
  await using scene = new Scene(true);
  // The file system's clock may be coarse: what was written in this moment is not kept.
  const old = Date.now() - 10_000;
  scene.hash = async (path, signal) => {
    const hashed = await hashModelFile(path, signal);
    return { ...hashed, identity: { ...hashed.identity, mtimeMs: hashed.identity.mtimeMs - 10_000, ctimeMs: old } };
  };
  assertEquals(await scene.sha256(), ABC);
  assertEquals((Deno.statSync(scene.cachePath).mode ?? 0) & 0o777, 0o600);
  const { files: [entry] } = JSON.parse(Deno.readTextFileSync(scene.cachePath));
  assertEquals([entry.sha256, entry.size, "dev" in entry, "path" in entry], [ABC, 3, false, false]);
  const now = await lookAtModelFile(scene.path);
  const write = (change: Record<string, unknown>): void => {
    const kept = {
      ino: now.ino,
      size: now.size,
      mtime_ms: now.mtimeMs,
      ctime_ms: now.ctimeMs,
      sha256: EMPTY,
      ...change,
    };
    Deno.writeTextFileSync(scene.cachePath, JSON.stringify({ version: 1, files: [kept] }));
    scene.hashes = scene.start(true);
  };
  scene.hash = hashModelFile;
  scene.read.length = scene.announced = 0;
  // What is kept is believed: so the file was not read.
  write({});
  assertEquals([await scene.sha256(), scene.read, scene.announced], [EMPTY, [], 0]);
  const others = [{ ino: 1 }, { size: 4 }, { mtime_ms: 5 }, { ctime_ms: 5 }, { sha256: "x" }, { ino: "1" }];
  for (const change of others) {
    write(change);
    assertEquals(await scene.sha256(), ABC, JSON.stringify(change));
  }
  assertEquals(scene.read.length, others.length);
});

Deno.test("a file that was written in this moment is not kept, and a cache that cannot be used is none", async () => {
  await using scene = new Scene(true);
  scene.hash = async (path, signal) => {
    const hashed = await hashModelFile(path, signal);
    return { ...hashed, identity: { ...hashed.identity, mtimeMs: Date.now(), ctimeMs: Date.now() } };
  };
  await scene.sha256();
  await assertRejects(() => Deno.stat(scene.cachePath), Deno.errors.NotFound);
  scene.hash = hashModelFile;
  for (const text of ["{", "[]", "null", '{"version":2,"files":[]}', '{"version":1,"files":[null,5,{}]}']) {
    Deno.writeTextFileSync(scene.cachePath, text);
    scene.hashes = scene.start(true);
    assertEquals(await scene.sha256(), ABC, text);
  }
  Deno.removeSync(`${scene.dir}/cache`, { recursive: true });
  Deno.writeTextFileSync(`${scene.dir}/cache`, "in the way");
  scene.hashes = scene.start(true);
  assertEquals(await scene.sha256(), ABC);
});

Deno.test("a model of several files has one hash of all", async () => {
  await using scene = new Scene();
  Deno.writeTextFileSync(`${scene.dir}/second`, "");
  const signal = scene.signal.signal;
  const files = [{ path: scene.path }, { path: `${scene.dir}/second` }];
  const lines = new TextEncoder().encode(`${ABC}\n${EMPTY}\n`);
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", lines)).toHex();
  assertEquals(await scene.hashes.sha256(files, { signal }), expected);
  assertEquals(scene.read.length, 2);
});

Deno.test("a file that was replaced after it was loaded has no hash", async () => {
  await using scene = new Scene();
  const identity = await lookAtModelFile(scene.path);
  const signal = scene.signal.signal;
  const sha256 = (): Promise<string> => scene.hashes.sha256([{ path: scene.path, identity }], { signal });
  // A further name changes nothing of it.
  await Deno.link(scene.path, `${scene.dir}/hard`);
  assertEquals(await sha256(), ABC);
  await Deno.writeTextFile(`${scene.dir}/other`, "abc");
  await Deno.rename(`${scene.dir}/other`, scene.path);
  await assertRejects(sha256, ModelFileError, "after it was loaded");
});
