/** `Daemon.reload`: another configuration for a daemon that serves. Backends are staged or mocks, sockets are real. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { admin } from "@inferd/client";
import type { DaemonOptions, MockScript } from "../../src/config/options.ts";
import { BackendUnavailableError, NotEnoughMemoryError } from "../../src/inference/errors.ts";
import { DaemonUnderTest, until } from "../support/daemons.ts";
import { ask } from "../support/serving.ts";
import { StagedBackend } from "../support/staged_backend.ts";

/** A daemon whose backends are staged: each that is made is handed to the test. */
class Stage implements AsyncDisposable {
  readonly test: DaemonUnderTest;
  readonly made: StagedBackend[];
  /** Called for each backend that is made. */
  onMade: (backend: StagedBackend) => void;

  private constructor(test: DaemonUnderTest, made: StagedBackend[], set: (onMade: Stage["onMade"]) => void) {
    this.test = test;
    this.made = made;
    this.onMade = () => {};
    set((backend) => this.onMade(backend));
  }

  static async start(options: Partial<DaemonOptions> = {}): Promise<Stage> {
    const made: StagedBackend[] = [];
    let onMade = (backend: StagedBackend): void => void backend.started.then(() => backend.becomeReady());
    const test = await DaemonUnderTest.start({ backends: [mock("one", 1)], ...options }, {
      create: ({ config: { name } }) => {
        const backend = new StagedBackend(name);
        made.push(backend);
        onMade(backend);
        return Promise.resolve(backend);
      },
    });
    await test.daemon.ready;
    return new Stage(test, made, (next) => onMade = next);
  }

  /** The backend that was made then, counted from 0. */
  nth(index: number): StagedBackend {
    const backend = this.made[index];
    if (backend === undefined) throw new RangeError(`${this.made.length} backends were made`);
    return backend;
  }

  /** Reload what the daemon has with these changes. */
  reload(options: Partial<DaemonOptions>): Promise<boolean> {
    return this.test.daemon.reload(() => Promise.resolve({ ...this.test.options, ...options }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.test[Symbol.asyncDispose]();
  }
}

/** A configuration; another number is another one. */
function mock(name: string, number: number): DaemonOptions["backends"][number] {
  const script: MockScript = { count: number };
  return { kind: "mock", name, script };
}

Deno.test("a reload loads the new backend while the old one serves, then switches, and lets it finish", async () => {
  await using stage = await Stage.start();
  const { test, made } = stage;
  using events = await test.admin();
  await until(events, "ready");
  using running = await test.infer();
  await running.send(ask({ id: "running" }));
  const run = await stage.nth(0).next();

  const loading = Promise.withResolvers<StagedBackend>();
  stage.onMade = (backend) => loading.resolve(backend);
  const reloaded = stage.reload({ backends: [mock("one", 2)] });
  const second = await loading.promise;
  await second.started;
  // While it loads, the first answers.
  using meanwhile = await test.infer();
  await meanwhile.send(ask());
  (await stage.nth(0).next()).finish();
  assertEquals((await meanwhile.frame()).type, "done");

  second.becomeReady();
  assertEquals(await reloaded, true);
  assertEquals(await until(events, "reloaded"), ["capabilities", "reloaded"]);
  await meanwhile.send(ask());
  (await second.next()).finish();
  assertEquals((await meanwhile.frame()).type, "done");
  assertEquals(stage.nth(0).disposed, 0);
  run.say("still here");
  run.finish();
  assertEquals((await running.frame()).content, "still here");
  assertEquals((await running.frame()).type, "done");
  await test.daemon.drain();
  assertEquals(made.map(({ disposed }) => disposed), [1, 1]);
});

Deno.test("a reload keeps the backends whose configuration is the same", async () => {
  await using stage = await Stage.start({ backends: [mock("one", 1), mock("two", 1)] });
  const { test, made } = stage;
  stage.onMade = (backend) => void backend.started.then(() => backend.becomeReady());
  assert(await stage.reload({ backends: [mock("two", 1), mock("one", 2)], queueDepth: 3 }));
  assertEquals(made.map(({ name }) => name), ["one", "two", "one"]);
  const { capabilities } = await admin({ path: test.options.adminSocket }).snapshot();
  assertEquals(capabilities.map(({ backend }) => backend), ["two", "one"]);
  assertEquals(capabilities[0]?.queue?.depth, 3);
  using client = await test.infer();
  await client.send(ask());
  (await stage.nth(1).next()).finish();
  assertEquals((await client.frame()).backend, "two");
});

Deno.test("a reload that fails changes nothing, and says why in the log, to readers and to those who come later", async () => {
  await using stage = await Stage.start();
  const { test, made } = stage;
  using events = await test.admin();
  await until(events, "ready");
  stage.onMade = (backend) => {
    void backend.started.then(() =>
      backend.failToStart(new BackendUnavailableError('Cannot load model "/m": no such file'))
    );
  };
  assertEquals(await stage.reload({ backends: [mock("one", 2)], parallel: 9 }), false);
  assertEquals(await until(events, "reload_failed"), ["reload_failed"]);
  assertEquals((await test.log.next("reload_failed")).fields.reason, 'Cannot load model "/m": no such file');
  const { reloadFailed, status } = await admin({ path: test.options.adminSocket }).snapshot();
  assertEquals(reloadFailed?.reason, 'Cannot load model "/m": no such file');
  assertEquals(status.status, "ready");
  assertEquals(test.daemon.options.parallel, test.options.parallel);
  assertEquals(made.map(({ disposed }) => disposed), [0, 1]);
  using client = await test.infer();
  await client.send(ask());
  (await stage.nth(0).next()).finish();
  assertEquals((await client.frame()).type, "done");
  // One that can be used ends it.
  stage.onMade = (backend) => void backend.started.then(() => backend.becomeReady());
  assert(await stage.reload({ backends: [mock("one", 3)] }));
  assertEquals((await admin({ path: test.options.adminSocket }).snapshot()).reloadFailed, undefined);
});

Deno.test("a reload gives the old backend up first where memory does not hold both, and says restarting", async () => {
  await using stage = await Stage.start();
  const { test, made } = stage;
  using events = await test.admin();
  await until(events, "ready");
  stage.onMade = (backend) => {
    void backend.started.then(() => {
      if (made.length === 2) {
        backend.failToStart(new NotEnoughMemoryError("Its weights take 9 MiB, available are 8 MiB"));
      } else backend.becomeReady();
    });
  };
  assert(await stage.reload({ backends: [mock("one", 2)] }));
  assertEquals((await until(events, "reloaded")).filter((said) => said !== "capabilities"), [
    "restarting checking_local",
    "ready",
    "reloaded",
  ]);
  assertEquals(made.map(({ disposed }) => disposed), [1, 1, 0]);
});

Deno.test("a reload loads the old backend again where the new one does not fit even alone", async () => {
  await using stage = await Stage.start();
  const { test, made } = stage;
  stage.onMade = (backend) => {
    void backend.started.then(() => {
      if (made.length < 4) backend.failToStart(new NotEnoughMemoryError("Too large"));
      else backend.becomeReady();
    });
  };
  assertEquals(await stage.reload({ backends: [mock("one", 2)] }), false);
  await admin({ path: test.options.adminSocket }).ready();
  using client = await test.infer();
  await client.send(ask());
  (await stage.nth(3).next()).finish();
  assertEquals((await client.frame()).type, "done");
});

Deno.test("a reload names what needs a restart, and keeps it as it is", async () => {
  await using stage = await Stage.start();
  const { test } = stage;
  const { adminSocket, logDir } = test.options;
  assert(await stage.reload({ adminSocket: "/elsewhere.sock", logDir: "/elsewhere" }));
  assertEquals((await test.log.next("needs_restart")).fields.settings, ["--admin-addr", "--log-dir"]);
  assertEquals([test.daemon.options.adminSocket, test.daemon.options.logDir], [adminSocket, logDir]);
});

Deno.test("a reload that cannot be read changes nothing, and a drain during one ends both", async () => {
  await using stage = await Stage.start();
  const { test } = stage;
  assertEquals(await test.daemon.reload(() => Promise.reject(new Error("No such setting"))), false);
  assertStringIncludes(String((await test.log.next("reload_failed")).fields.reason), "No such setting");
  const made = Promise.withResolvers<StagedBackend>();
  stage.onMade = (backend) => made.resolve(backend);
  const reloaded = stage.reload({ backends: [mock("one", 2)] });
  const second = await made.promise;
  await second.started;
  await test.daemon.drain();
  assertEquals(await reloaded, false);
  assertEquals(second.disposed, 1);
});
