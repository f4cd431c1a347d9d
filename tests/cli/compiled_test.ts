/** `inferd serve` as an executable of `deno compile`, see `support/compiled.ts`. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect } from "@inferd/client";
import { engineCommand } from "../../src/engine/ipc/command.ts";
import { COMPILED, SELF } from "../support/compiled.ts";
import { DenoCacheWithout } from "../support/deno_cache.ts";
import { freePort } from "../support/free_port.ts";
import { argumentsOf } from "../support/processes.ts";
import { denoDir, Sandbox } from "../support/program.ts";

const ASKED = ["generate", "--temperature", "0", "What is the capital of France?"];
const MOCK = ["--backend", "mock"];

/** The permissions that a confined process was started with. */
function permissionsOf(pid: number): Record<string, string[]> {
  const words = argumentsOf(pid);
  return JSON.parse(words[words.indexOf("confined") + 1] ?? "");
}

Deno.test({
  name: "an executable answers, restarts its engine and its bridge, and drains, in a folder whose name has a comma",
  ignore: Deno.build.os !== "linux",
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const port = freePort();
    const env = { INFERD_LOG_DIR: `${box.dir}/a,b` };
    await using daemon = await box.serve(["--http", `127.0.0.1:${port}`], { ...COMPILED, env });
    const [, bridge = ""] = await daemon.stderr.match(/http_started pid=(\d+)/);
    assertEquals((await box.run(ASKED)).stdout, "Paris.\n");
    assertMatch((await box.run(["status"])).stdout, /^state +ready$/m);

    const exact = permissionsOf(daemon.daemonPid);
    assertEquals([exact.run, exact.write?.includes(`${box.dir}/a,b`)], [undefined, true]);
    assertEquals(Object.keys(permissionsOf(Number(bridge))).sort(), ["env", "ffi", "net", "read", "sys", "write"]);

    await daemon.stderr.has(`Listening on http://127.0.0.1:${port}`);
    Deno.kill(Number(bridge), "SIGKILL");
    Deno.kill(daemon.enginePid, "SIGKILL");
    await daemon.stderr.has("engine_restarted");
    await box.admin.ready();
    assertEquals((await box.run(ASKED)).stdout, "Paris.\n");
    await daemon.stderr.match(/http_started.*[^]*http_restarting.*[^]*http_started.*[^]*Listening on/);
    const models = await fetch(`http://127.0.0.1:${port}/v1/models`, { headers: { connection: "close" } });
    assertStringIncludes(await models.text(), "inferd-tiny");

    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
    assertEquals([...Deno.readDirSync(box.runtimeDir)].map(({ name }) => name), ["inferd.lock"]);
    const log = Deno.readTextFileSync(`${box.dir}/a,b/inferd.ndjson`).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const left: string[] = log.find(({ msg }) => msg === "permissions_left").left;
    assertEquals(left.filter((one) => !/^(net=unix:|read=|write=)\//.test(one)), []);
  },
});

Deno.test("an executable's daemon passes its exit codes on, and what it could not say itself", async () => {
  await using box = new Sandbox();
  await using first = await box.serve(
    ["--mock-script", '{"count":3,"hangAt":1}', "--drain-timeout", "600", ...MOCK],
    COMPILED,
  );
  const second = await box.run(["serve", ...MOCK], COMPILED);
  assertEquals(second.code, 1);
  assertStringIncludes(second.stderr, `nother inferd daemon (pid ${first.pid}) holds`);

  await using client = await connect({ path: `${box.runtimeDir}/infer.sock` });
  await client.generate("hi")[Symbol.asyncIterator]().next();
  first.kill("SIGTERM");
  await first.stderr.has("draining");
  first.kill("SIGINT");
  assertEquals((await first.outcome).code, 130);

  await using third = await box.serve(MOCK, COMPILED);
  Deno.kill(third.daemonPid, "SIGKILL");
  const { code, stderr } = await third.outcome;
  assertEquals(code, 137);
  assertMatch(stderr, /\ninferd: The daemon was ended by SIGKILL\n$/);
});

Deno.test("an executable's daemon ends with its monitor, and the next one starts", async () => {
  await using box = new Sandbox();
  await using first = await box.serve(MOCK, COMPILED);
  first.kill("SIGKILL");
  // Also the end of what the daemon prints, and so of the daemon.
  await first.outcome;
  await using second = await box.serve(MOCK, COMPILED);
  assertEquals(Deno.readTextFileSync(`${box.runtimeDir}/inferd.pid`).trim(), String(second.pid));
});

Deno.test("an executable fetches libraries in a process that may write to the cache alone", async () => {
  await using box = new Sandbox();
  using cache = new DenoCacheWithout(/@node-llama-cpp/);
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked.resolve();
    return answer.promise;
  });
  Deno.writeTextFileSync(`${box.dir}/.npmrc`, `@node-llama-cpp:registry=http://127.0.0.1:${registry.addr.port}/\n`);
  await using daemon = box.spawn(["serve", "--accelerator", "cpu"], { ...COMPILED, env: { DENO_DIR: cache.dir } });
  await asked.promise;
  if (Deno.build.os === "linux") {
    const { write, run, ffi } = permissionsOf(daemon.childRunning("/src/libraries/fetch/fetch_main.ts"));
    assertEquals([write?.length, write?.[0], run, ffi], [2, `${box.dir}/.inferd/cache`, undefined, undefined]);
  }
  answer.resolve(new Response(null, { status: 404 }));
  const { code, stderr } = await daemon.outcome;
  assertEquals(code, 1, stderr);
  assert(stderr.includes(`from "http://127.0.0.1:${registry.addr.port}/": the registry answers 404`), stderr);
});

Deno.test("an executable's engine can load the chat wrappers, whose packages look at any variable", async () => {
  const module = import.meta.resolve("../support/confined_wrappers.ts");
  const { command, args, env } = engineCommand([...SELF, module]);
  const { code, stderr } = await new Deno.Command(command, {
    args: [...args.slice(0, -1), module],
    env: { ...env, DENO_DIR: denoDir() },
    clearEnv: true,
  }).output();
  assertEquals(code, 7, new TextDecoder().decode(stderr));
});
