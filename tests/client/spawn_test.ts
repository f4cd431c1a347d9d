/** A daemon that is started because a client wants one: real processes, one daemon however many clients. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { connect, ConnectError, type ConnectOptions, SpawnError, type SpawnOptions } from "@inferd/client";
import { fromFileUrl, join } from "@std/path";
import { StartLock } from "../../client/spawn.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { mountSmallDisk, onSmallDisk } from "../support/small_disk.ts";
import { nodeMajor, transpile } from "../support/node_client.ts";
import { StagedBackend } from "../support/staged_backend.ts";
import { eventually } from "../support/waiting.ts";
import { Scratch } from "./support.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const MAIN = join(ROOT, "main.ts");
const CHILD = new URL("./spawn_child.ts", import.meta.url).pathname;
const BROKEN = new URL("./spawn_broken.ts", import.meta.url).pathname;

/** A folder that daemons are started in; those that are left are ended with it. */
class Place implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync({ prefix: "inferd-spawn-" });
  readonly runtimeDir = `${this.dir}/inferd`;
  readonly lockPath = `${this.runtimeDir}/inferd.spawn.lock`;
  readonly env = {
    // All of them may ask at the same moment.
    INFERD_QUEUE_DEPTH: "100",
    XDG_RUNTIME_DIR: this.dir,
    INFERD_LOG_DIR: `${this.dir}/logs`,
    INFERD_BACKEND: "mock",
    NO_COLOR: "1",
  };

  /** Starts the real daemon, and notes that it was started. */
  get spawn(): SpawnOptions {
    const script = `echo started >> "$0"; exec "$@"`;
    const daemon = [Deno.execPath(), "run", "--no-check", "-A", MAIN, "serve"];
    // The machine may be busy with the other clients.
    return { command: "sh", args: ["-c", script, `${this.dir}/starts`, ...daemon], timeoutMs: 60_000 };
  }

  /** How many daemons were started. */
  get starts(): number {
    return Deno.readTextFileSync(`${this.dir}/starts`).trim().split("\n").length;
  }

  /** End the daemon, and count what its log says: it is complete only then. */
  async records(msg: string): Promise<number> {
    await this.#end();
    return Deno.readTextFileSync(`${this.dir}/logs/inferd.ndjson`).split("\n")
      .filter((line) => line !== "" && JSON.parse(line).msg === msg).length;
  }

  /** Run a client in a process of its own. */
  client(options: ConnectOptions): Promise<string> {
    return this.run([Deno.execPath(), "run", "--no-check", "-A", CHILD], options);
  }

  /** Run a client that is given its options as its last argument. */
  async run([command = "", ...args]: readonly string[], options: ConnectOptions): Promise<string> {
    const { stdout, stderr } = await new Deno.Command(command, {
      args: [...args, JSON.stringify(options)],
      env: this.env,
    }).output();
    const text = new TextDecoder();
    return text.decode(stdout).trim() + text.decode(stderr).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await Deno.remove(this.dir, { recursive: true });
  }

  /** A daemon here is nobody's child: its lock tells when it is gone. */
  async #end(): Promise<void> {
    let pid: number;
    try {
      pid = Number(Deno.readTextFileSync(`${this.runtimeDir}/inferd.pid`));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    Deno.kill(pid, "SIGTERM");
    using lock = await Deno.open(`${this.runtimeDir}/inferd.lock`, { read: true, write: true });
    await lock.lock(true);
  }
}

/** Options for a client of this process, whose environment is not the place's. */
function here(place: Place, spawn: SpawnOptions): ConnectOptions {
  const path = `${place.runtimeDir}/infer.sock`;
  return { path, adminPath: `${place.runtimeDir}/admin.sock`, spawn: { env: place.env, ...spawn } };
}

/** Have the default runtime directory somewhere else for as long as it takes. */
async function within<T>(place: Place, act: () => Promise<T>): Promise<T> {
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  Deno.env.set("XDG_RUNTIME_DIR", place.dir);
  try {
    return await act();
  } finally {
    if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
    else Deno.env.set("XDG_RUNTIME_DIR", before);
  }
}

Deno.test("twenty clients started at once start one daemon, which outlives them", async () => {
  await using place = new Place();
  const options = { spawn: place.spawn };
  const answers = await Promise.all(Array.from({ length: 20 }, () => place.client(options)));
  assertEquals(answers, Array<string>(20).fill("This is a mock answer."));
  // The daemon is left, and nothing of the starting but its output.
  assertEquals(await place.client({ spawn: { command: "/nowhere" } }), "This is a mock answer.");
  assertEquals([...Deno.readDirSync(place.runtimeDir)].map(({ name }) => name).filter((name) => /spawn/.test(name)), [
    "inferd.spawn.log",
  ]);
  const mode = (path: string): number => (Deno.statSync(path).mode ?? 0) & 0o777;
  assertEquals([mode(place.runtimeDir), mode(`${place.runtimeDir}/inferd.spawn.log`)], [0o700, 0o600]);
  assertEquals([place.starts, await place.records("starting")], [1, 1]);
});

Deno.test("clients started at once start one daemon when a starter died and left its lock", async () => {
  await using place = new Place();
  const dead = new Deno.Command("true").spawn();
  await dead.status;
  await Deno.mkdir(place.runtimeDir);
  await Deno.writeTextFile(place.lockPath, JSON.stringify({ pid: dead.pid, id: "x", until: Date.now() + 600_000 }));
  const options = { spawn: place.spawn };
  const answers = await Promise.all(Array.from({ length: 6 }, () => place.client(options)));
  assertEquals(answers, Array<string>(6).fill("This is a mock answer."));
  assertEquals([place.starts, await place.records("starting")], [1, 1]);
});

Deno.test("a client waits for the daemon that it starts when the clock is set forward meanwhile", async () => {
  await using place = new Place();
  const now = Date.now;
  let days = 0;
  Date.now = (): number => now() + ++days * 86_400_000;
  try {
    await using client = await connect(here(place, place.spawn));
    assertEquals(await client.generate("hi").text(), "This is a mock answer.");
  } finally {
    Date.now = now;
  }
});

Deno.test({
  ...onSmallDisk("a client says that the disk is full, and leaves no lock there that others wait for"),
  async fn(): Promise<void> {
    await using place = new Place();
    await Deno.mkdir(place.runtimeDir);
    await using _disk = await mountSmallDisk(place.runtimeDir, "64k");
    await assertRejects(() => Deno.writeFile(`${place.runtimeDir}/fill`, new Uint8Array(128 * 1024)));
    const lock = new StartLock(place.lockPath);
    assertMatch(
      assertThrows(() => lock.take(1000), SpawnError).message,
      /^Cannot make the lock .*(ENOSPC|No space left)/,
    );
    await Deno.remove(`${place.runtimeDir}/fill`);
    assertEquals(lock.take(1000), true);
    lock.release();
  },
});

Deno.test("a lock from before the clock was set back, whose holder nobody knows, is nobody's", async () => {
  await using place = new Place();
  await Deno.mkdir(place.runtimeDir);
  await Deno.writeTextFile(place.lockPath, "");
  const lock = new StartLock(place.lockPath);
  assertEquals(lock.take(1000), false);
  const tomorrow = new Date(Date.now() + 86_400_000);
  await Deno.utime(place.lockPath, tomorrow, tomorrow);
  assertEquals(lock.take(1000), true);
  lock.release();
});

Deno.test({
  name: "clients in Node start one daemon",
  ignore: await nodeMajor() < 20,
  async fn(): Promise<void> {
    await using place = new Place();
    await transpile(join(ROOT, "client"), `${place.dir}/client`);
    await Deno.writeTextFile(`${place.dir}/package.json`, '{"type":"module"}');
    await Deno.writeTextFile(
      `${place.dir}/main.js`,
      `import { connect } from "./client/mod.js";
      const client = await connect(JSON.parse(process.argv[2]));
      console.log(await client.generate("hi").text());
      await client.close();`,
    );
    const run = (spawn: SpawnOptions): Promise<string> => place.run(["node", `${place.dir}/main.js`], { spawn });
    const answers = await Promise.all(Array.from({ length: 5 }, () => run(place.spawn)));
    assertEquals(answers, Array<string>(5).fill("This is a mock answer."));
    assertEquals(await run({ command: "/nowhere" }), "This is a mock answer.");
    assertEquals([place.starts, await place.records("starting")], [1, 1]);
    assertStringIncludes(await run({ command: "/nowhere" }), "there is no such program");
    assertStringIncludes(await run({ command: "sh", args: ["-c", "echo oh >&2; exit 3"] }), "with code 3: oh");
  },
});

Deno.test("a client starts a daemon at the path it was given", async () => {
  await using place = new Place();
  const path = `${place.dir}/elsewhere.sock`;
  assertEquals(await place.client({ path, spawn: place.spawn }), "This is a mock answer.");
  assertEquals(Deno.statSync(path).isSocket, true);
});

Deno.test("nothing is started when a daemon answers, or is on its way", async () => {
  await using place = new Place();
  const backend = new StagedBackend();
  await using test = await DaemonUnderTest.start({ runtimeDir: place.runtimeDir }, { backends: [backend] });
  const options = here(place, { command: "/nowhere", timeoutMs: 10 });
  const connecting = within(place, () => connect(options));
  await assertRejects(() => within(place, () => connect({ ...options, timeoutMs: 0 })), ConnectError);
  backend.becomeReady();
  await test.daemon.ready;
  await using _first = await connecting;
  await using _second = await connect(options);
});

Deno.test("a daemon that cannot start is reported with what it exited with and what it printed", async () => {
  await using place = new Place();
  const spawn = { command: "sh", args: ["-c", "echo one; echo two >&2; exit 3"] };
  const error = await assertRejects(() => within(place, () => connect(here(place, spawn))), SpawnError);
  assertStringIncludes(error.message, "it exited with code 3: two");
  assertEquals([error.exitCode, error.output, error.retryable], [3, "one\ntwo", false]);
  assert(error.stack?.includes("spawn_test.ts"));
  assertEquals([...Deno.readDirSync(place.runtimeDir)].map(({ name }) => name), ["inferd.spawn.log"]);
});

Deno.test("only the last lines of what a daemon printed are reported, and only its own", async () => {
  await using place = new Place();
  const logPath = `${place.dir}/own.log`;
  await Deno.writeTextFile(logPath, "before\n");
  const spawn = { command: "sh", args: ["-c", "seq 1 1000; kill -9 $$"], logPath };
  const error = await assertRejects(
    () => within(place, () => connect(here(place, spawn))),
    SpawnError,
    "SIGKILL: 1000",
  );
  assertEquals([error.exitCode, error.output.split("\n").at(0), error.output.split("\n").length], [null, "981", 20]);
  const silent = { command: "sh", args: ["-c", "exit 1"], logPath };
  assertEquals((await assertRejects(() => within(place, () => connect(here(place, silent))), SpawnError)).output, "");
  assertStringIncludes(await Deno.readTextFile(logPath), "before\n1\n");
});

Deno.test("a program that does not exist is reported as such", async () => {
  await using place = new Place();
  await assertRejects(
    () => within(place, () => connect(here(place, { command: "/nowhere/inferd" }))),
    SpawnError,
    "there is no such program",
  );
});

Deno.test("the program is the environment's when the caller names none", async () => {
  await using place = new Place();
  const program = `${place.dir}/program`;
  await Deno.writeTextFile(program, '#!/bin/sh\necho "called with $*"; exit 7\n', { mode: 0o700 });
  Deno.env.set("INFERD_COMMAND", program);
  try {
    const error = await assertRejects(() => within(place, () => connect({ spawn: true })), SpawnError);
    assertEquals([error.exitCode, error.output], [7, "called with serve"]);
  } finally {
    Deno.env.delete("INFERD_COMMAND");
  }
});

Deno.test("a daemon that shows no sign of life is reported, and left alone", async () => {
  await using place = new Place();
  const spawn = { command: "sh", args: ["-c", "echo $$; exec sleep 600"], timeoutMs: 300 };
  const error = await assertRejects(() => within(place, () => connect(here(place, spawn))), SpawnError);
  assertStringIncludes(error.message, `no sign of life within 300 ms and still runs as process ${error.output}`);
  assertEquals(error.exitCode, null);
  // Fails if it is gone.
  Deno.kill(Number(error.output), "SIGTERM");
});

Deno.test("a daemon that dies while it loads is reported with what it printed", async () => {
  await using place = new Place();
  await Deno.mkdir(place.runtimeDir);
  const args = ["run", "--no-check", "-A", BROKEN, place.runtimeDir, "4"];
  const spawn = { command: Deno.execPath(), args, timeoutMs: 3_000 };
  const error = await assertRejects(() => within(place, () => connect(here(place, spawn))), SpawnError);
  assertStringIncludes(error.message, "it exited with code 4: The model is broken");
  assertEquals(error.output, "Loading\nThe model is broken");
});

Deno.test("a client that waits for another's daemon in vain says so", async () => {
  await using place = new Place();
  await Deno.mkdir(place.runtimeDir);
  const other = new StartLock(place.lockPath);
  assert(other.take(600_000));
  const spawn = { command: "/nowhere", timeoutMs: 0 };
  await assertRejects(
    () => within(place, () => connect(here(place, spawn))),
    SpawnError,
    "Another process is starting",
  );
});

Deno.test("starting is given up when the signal says so, and the lock is given back", async () => {
  await using place = new Place();
  const spawn = { command: "sh", args: ["-c", "echo $$; exec sleep 600"], timeoutMs: 60_000 };
  const controller = new AbortController();
  const connecting = within(place, () => connect({ ...here(place, spawn), signal: controller.signal }));
  const rejected = assertRejects(() => connecting, Error, "mine");
  const log = `${place.runtimeDir}/inferd.spawn.log`;
  const pid = await eventually(`a line in "${log}"`, async () => {
    const text = await Deno.readTextFile(log).catch(() => "");
    return text.endsWith("\n") && Number(text);
  });
  controller.abort(new Error("mine"));
  await rejected;
  await assertRejects(() => Deno.stat(place.lockPath), Deno.errors.NotFound);
  Deno.kill(pid, "SIGTERM");
});

Deno.test("a daemon is not started over TCP, nor in a folder that is none", async () => {
  await using place = new Place();
  await assertRejects(() => connect({ tcp: {}, spawn: true }), TypeError, 'Cannot combine "spawn" with TCP');
  await assertRejects(() => connect(here(place, { command: "" })), TypeError, "command");
  await assertRejects(() => connect(here(place, { timeoutMs: -1 })), RangeError, "timeoutMs");
  await Deno.symlink("/tmp", place.runtimeDir);
  const spawn = here(place, { command: "/nowhere" });
  await assertRejects(
    () => within(place, () => connect({ ...spawn, path: `${place.dir}/x.sock`, adminPath: `${place.dir}/y.sock` })),
    SpawnError,
    "it is not a folder",
  );
});

Deno.test("a start lock has one holder, until it is given back", async () => {
  await using scratch = new Scratch();
  const [one, other] = [new StartLock(scratch.path()), new StartLock(scratch.path())];
  assertEquals([one.take(60_000), other.take(60_000)], [true, false]);
  other.release();
  assertEquals(other.take(60_000), false);
  one.release();
  assertEquals([other.take(60_000), one.take(60_000)], [true, false]);
});

Deno.test("a start lock is nobody's when its holder is late, and its late holder does not take it from the next", async () => {
  await using scratch = new Scratch();
  const [one, other] = [new StartLock(scratch.path()), new StartLock(scratch.path())];
  assertEquals([one.take(-1), other.take(60_000)], [true, true]);
  one.release();
  assertEquals(one.take(60_000), false);
});

Deno.test("a start lock that says nothing is nobody's only after a while", async () => {
  await using scratch = new Scratch();
  const lock = new StartLock(scratch.path());
  for (const content of ["", "{", "{}", '{"pid":"1","until":0}']) {
    await Deno.writeTextFile(scratch.path(), content);
    assertEquals(lock.take(60_000), false);
    await Deno.utime(scratch.path(), new Date(), new Date(Date.now() - 31_000));
    assertEquals(lock.take(60_000), true);
    lock.release();
  }
});

Deno.test("a stale start lock can be taken although one who was taking it died", async () => {
  await using scratch = new Scratch();
  const lock = new StartLock(scratch.path());
  await Deno.writeTextFile(scratch.path(), JSON.stringify({ pid: Deno.pid, id: "x", until: 0 }));
  await Deno.writeTextFile(scratch.path("infer.sock.stale"), "");
  assertEquals(lock.take(60_000), false);
  await Deno.utime(scratch.path("infer.sock.stale"), new Date(), new Date(Date.now() - 31_000));
  // The first attempt cleans up, the next one takes it.
  assertEquals([lock.take(60_000), lock.take(60_000)], [false, true]);
});
