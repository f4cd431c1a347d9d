/** What the monitor starts for a daemon with exactly its permissions: engines of a reload and on demand, and fetching. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { argumentsOf, assertEnds, childrenOf } from "../support/processes.ts";
import { Sandbox } from "../support/program.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { privateSocketPath } from "../../src/processes/orders.ts";
import { recordsIn, untilLogged } from "../support/log_file.ts";

const LINUX = Deno.build.os === "linux";

/** Processes of engines that the monitor has. */
function engines(monitor: number): number[] {
  return childrenOf(monitor).filter((pid) => argumentsOf(pid).some((word) => word.includes("/src/engine/main.ts")));
}

const ASKED = ["generate", "--temperature", "0", "What is the capital of France?"];

Deno.test({
  name: "a reload has the monitor start the new engine, and the old one ends, when the daemon may start nothing",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const backend = { kind: "llamacpp", name: "local", model: { name: "inferd-tiny" } };
    box.configure({ backends: [{ ...backend, n_ctx: 512 }] });
    await using daemon = await box.serve([], { permissions: await box.exactPermissions() });
    await daemon.stderr.has("inferd is ready");
    const [before = 0] = engines(daemon.pid);
    box.configure({ backends: [{ ...backend, n_ctx: 768 }] });
    daemon.kill("SIGHUP");
    await daemon.stderr.has("reloaded backends");
    assertEquals((await box.run(ASKED)).stdout, "Paris.\n");
    // The old one leaves when it has answered its last request, of which nothing tells.
    await assertEnds([before]);
    assertEquals(engines(daemon.pid).length, 1);
    daemon.kill("SIGTERM");
    const { code, stderr } = await daemon.outcome;
    assertEquals([code, stderr.match(/engine_started/g)?.length], [0, 2], stderr);
    const pids = recordsIn(`${box.dir}/logs/inferd.ndjson`).filter(({ msg }) => msg === "engine_started").map((
      { pid },
    ) => pid);
    assertEquals(pids[0], before);
    assert(pids[1] !== before);
  },
});

Deno.test({
  name: "an engine that would have nowhere to connect to is tried again, and that counts as no death",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([]);
    const log = `${box.dir}/logs/inferd.ndjson`;
    const meeting = privateSocketPath({ runtimeDir: box.runtimeDir, lockPath: `${box.runtimeDir}/inferd.lock` });
    Deno.mkdirSync(meeting);
    Deno.kill(daemon.enginePid, "SIGKILL");
    const { reason } = await untilLogged(log, "engine_not_started");
    assertStringIncludes(String(reason), `Cannot bind "${meeting}": it is a directory`);
    Deno.removeSync(meeting);
    await untilLogged(log, "engine_restarted");
    assertEquals(recordsIn(log).filter(({ msg }) => msg === "engine_exited").map(({ deaths }) => deaths), [1]);
    assertEquals((await box.run(ASKED)).stdout, "Paris.\n");
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

Deno.test({
  name: "a model on demand is started by the monitor each time it is asked for",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const backend = { kind: "llamacpp", load: "on_demand", idle_unload_secs: 1 };
    box.configure({ backends: [{ ...backend, name: "local", model: { name: "inferd-tiny" } }] });
    await using daemon = await box.serve([], { permissions: await box.exactPermissions() });
    await daemon.stderr.has("inferd is ready");
    for (let time = 0; time < 2; time++) {
      assertEquals(engines(daemon.pid), []);
      assertEquals((await box.run(ASKED)).stdout, "Paris.\n");
      for await (const event of box.admin.watch()) {
        if (event.status === "capabilities" && event.state === "asleep") break;
      }
      // The engine's own end comes right after it.
      await assertEnds(engines(daemon.pid));
    }
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

Deno.test("the monitor starts the process that fetches libraries, and what that says reaches the operator", async () => {
  await using box = new Sandbox();
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  const asked = Promise.withResolvers<string>();
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.resolve(new URL(request.url).pathname);
    return new Response(null, { status: 404 });
  });
  Deno.writeTextFileSync(`${box.dir}/.npmrc`, `@node-llama-cpp:registry=http://127.0.0.1:${registry.addr.port}/\n`);
  const env = { DENO_DIR: cache.dir };
  const { code, stderr } = await box.run(["serve", "--accelerator", "cpu"], { env });
  assertEquals(code, 1, stderr);
  assertStringIncludes(await asked.promise, "node-llama-cpp");
  assertStringIncludes(stderr, `from "http://127.0.0.1:${registry.addr.port}/": the registry answers 404`);
});
