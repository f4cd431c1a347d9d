/** `lock.ts` and `runtime_dir.ts` on a real folder. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { acquireLock, LockError, LockHeldError } from "../../../src/daemon/lock.ts";
import { prepareRuntimeDir, RuntimeDirError } from "../../../src/daemon/runtime_dir.ts";
import { mountSmallDisk, onSmallDisk } from "../../support/small_disk.ts";
import { inFolder } from "../../support/folders.ts";

Deno.test("acquireLock writes the pid beside the lock and removes it when it is given back", () =>
  inFolder(async (dir) => {
    {
      using _lock = await acquireLock(`${dir}/inferd.lock`, 4711);
      assertEquals(Deno.readTextFileSync(`${dir}/inferd.pid`), "4711\n");
      assertEquals((Deno.statSync(`${dir}/inferd.pid`).mode ?? 0) & 0o777, 0o600);
    }
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name), ["inferd.lock"]);
    using _again = await acquireLock(`${dir}/inferd.lock`, 4712);
  }));

Deno.test("acquireLock gives every lock file of a folder a pid file of its own", () =>
  inFolder(async (dir) => {
    using _one = await acquireLock(`${dir}/one.lock`, 1);
    using _two = await acquireLock(`${dir}/two`, 2);
    assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["one.lock", "one.pid", "two", "two.pid"]);
    assertEquals(["one", "two"].map((name) => Deno.readTextFileSync(`${dir}/${name}.pid`)), ["1\n", "2\n"]);
    const error = await assertRejects(() => acquireLock(`${dir}/one.lock`, 3), LockHeldError);
    assertEquals(error.message, `Another inferd daemon (pid 1) holds "${dir}/one.lock"`);
  }));

Deno.test({
  ...onSmallDisk("acquireLock says that the disk is full, and leaves no empty pid file there"),
  fn: () =>
    inFolder(async (dir) => {
      await using _disk = await mountSmallDisk(dir, "64k");
      assertThrows(() => Deno.writeFileSync(`${dir}/fill`, new Uint8Array(128 * 1024)));
      const error = await assertRejects(() => acquireLock(`${dir}/inferd.lock`, 1), LockError);
      assertEquals(error.message.split(" (")[0], `Cannot write "${dir}/inferd.pid": No space left on device`);
      assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["fill", "inferd.lock"]);
      Deno.removeSync(`${dir}/fill`);
      using _lock = await acquireLock(`${dir}/inferd.lock`, 1);
    }),
});

Deno.test("acquireLock names the holder when the lock is held", () =>
  inFolder(async (dir) => {
    const path = `${dir}/inferd.lock`;
    using _lock = await acquireLock(path, 4711);
    const error = await assertRejects(() => acquireLock(path, 4712), LockHeldError);
    assertEquals(error.message, `Another inferd daemon (pid 4711) holds "${path}"`);
    assertEquals(Deno.readTextFileSync(`${dir}/inferd.pid`), "4711\n");
  }));

Deno.test("acquireLock leaves the pid out when the lock is held and the pid file says nothing", () =>
  inFolder(async (dir) => {
    const path = `${dir}/inferd.lock`;
    using _lock = await acquireLock(path, 4711);
    Deno.writeTextFileSync(`${dir}/inferd.pid`, "nonsense\n");
    const error = await assertRejects(() => acquireLock(path, 4712), LockHeldError);
    assertEquals(error.message, `Another inferd daemon holds "${path}"`);
  }));

Deno.test("acquireLock takes the lock when a crashed daemon left its files", () =>
  inFolder(async (dir) => {
    Deno.writeTextFileSync(`${dir}/inferd.lock`, "");
    Deno.writeTextFileSync(`${dir}/inferd.pid`, "1\n", { mode: 0o644 });
    using _lock = await acquireLock(`${dir}/inferd.lock`, 4711);
    assertEquals(Deno.readTextFileSync(`${dir}/inferd.pid`), "4711\n");
    assertEquals((Deno.statSync(`${dir}/inferd.pid`).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("acquireLock can be had again when its holder was killed", () =>
  inFolder(async (dir) => {
    const path = `${dir}/inferd.lock`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "-A", new URL("../../support/hold_lock.ts", import.meta.url).href, path],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const error = await assertRejects(() => acquireLock(path, 4712), LockHeldError);
    assertEquals(error.message, `Another inferd daemon (pid ${child.pid}) holds "${path}"`);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using _lock = await acquireLock(path, 4712);
  }));

Deno.test("acquireLock follows no symlink when the lock or the pid file is one", () =>
  inFolder(async (dir) => {
    Deno.writeTextFileSync(`${dir}/victim`, "precious");
    Deno.symlinkSync(`${dir}/victim`, `${dir}/inferd.lock`);
    const error = await assertRejects(() => acquireLock(`${dir}/inferd.lock`, 1), LockError);
    assertEquals(error.message, `Cannot lock "${dir}/inferd.lock": it is a symbolic link`);

    Deno.symlinkSync(`${dir}/victim`, `${dir}/other.pid`);
    using _lock = await acquireLock(`${dir}/other.lock`, 4711);
    assertEquals(Deno.readTextFileSync(`${dir}/victim`), "precious");
    assertEquals(Deno.readTextFileSync(`${dir}/other.pid`), "4711\n");
  }));

Deno.test("acquireLock refuses when the path is a folder or cannot be made", () =>
  inFolder(async (dir) => {
    const folder = await assertRejects(() => acquireLock(dir, 1), LockError);
    assertEquals(folder.message, `Cannot lock "${dir}": it is not a regular file`);
    const missing = await assertRejects(() => acquireLock(`${dir}/no/inferd.lock`, 1), LockError);
    assert(missing.message.startsWith(`Cannot lock "${dir}/no/inferd.lock": No such file`), missing.message);
  }));

Deno.test("prepareRuntimeDir makes the folder 0700 when it is missing", () =>
  inFolder((dir) => {
    prepareRuntimeDir(`${dir}/a/b`);
    assertEquals((Deno.statSync(`${dir}/a/b`).mode ?? 0) & 0o777, 0o700);
  }));

Deno.test("prepareRuntimeDir tightens the mode when others could look into it", () =>
  inFolder((dir) => {
    Deno.mkdirSync(`${dir}/a`, { mode: 0o755 });
    prepareRuntimeDir(`${dir}/a`);
    assertEquals((Deno.statSync(`${dir}/a`).mode ?? 0) & 0o777, 0o700);
  }));

Deno.test("prepareRuntimeDir refuses when the folder is a symlink, a file, or under a file", () =>
  inFolder((dir) => {
    Deno.mkdirSync(`${dir}/real`);
    Deno.symlinkSync(`${dir}/real`, `${dir}/link`);
    Deno.writeTextFileSync(`${dir}/file`, "");
    const refusals = ["link", "file", "file/below"].map((name) =>
      assertThrows(() => prepareRuntimeDir(`${dir}/${name}`), RuntimeDirError).message
    );
    assertEquals(refusals, [
      `Cannot use runtime directory "${dir}/link": it is a symbolic link`,
      `Cannot use runtime directory "${dir}/file": a part of the path is not a folder`,
      `Cannot use runtime directory "${dir}/file/below": a part of the path is not a folder`,
    ]);
  }));

Deno.test({
  name: "prepareRuntimeDir refuses when the folder belongs to somebody else",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inFolder((dir) => {
      Deno.mkdirSync(`${dir}/theirs`);
      Deno.chownSync(`${dir}/theirs`, 65534, 65534);
      const error = assertThrows(() => prepareRuntimeDir(`${dir}/theirs`), RuntimeDirError);
      assertEquals(error.message, `Cannot use runtime directory "${dir}/theirs": it belongs to user 65534`);
    }),
});
