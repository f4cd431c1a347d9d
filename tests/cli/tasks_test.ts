/** The commands as tasks of the checkout. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type Outcome, Sandbox } from "../support/program.ts";

const CHECKOUT = fromFileUrl(new URL("../..", import.meta.url));

/** Run a task as somebody whose home has a space in its path. */
function task(box: Sandbox, ...args: readonly string[]): Promise<Outcome> {
  return taskAt(`${box.dir}/my home`, box, ...args);
}

async function taskAt(home: string, box: Sandbox, ...args: readonly string[]): Promise<Outcome> {
  Deno.mkdirSync(home, { recursive: true });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: CHECKOUT,
    env: { ...box.env, HOME: home, XDG_RUNTIME_DIR: home, INFERD_LOG_DIR: `${home}/logs`, INFERD_CALLED_AS: "" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("tasks of clients work where a path has a space, pass flags and exit codes on, and name tasks", async () => {
  await using box = new Sandbox();
  const runtimeDir = `${box.dir}/my home/inferd`;
  const none = await task(box, "status");
  assertEquals(none.code, 2);
  assertMatch(none.stderr, /there is no such socket.*; "(npx --yes )?deno task start" starts a daemon\n$/);
  await using daemon = box.spawn(["serve", "--backend", "mock"], { env: { XDG_RUNTIME_DIR: `${box.dir}/my home` } });
  await daemon.stderr.has("inferd is ready");
  assertStringIncludes((await task(box, "ps")).stdout, "mock");
  assertEquals((await task(box, "status", "--json")).code, 0);
  // Of a socket that only a flag names, too.
  const elsewhere = await task(box, "generate", "--uds", `${runtimeDir}/infer.sock`, "--max-tokens", "2", "hi");
  assertEquals([elsewhere.code, elsewhere.stderr], [0, ""]);
  const wrong = await task(box, "generate", "--modle", "x", "hi");
  assertEquals([wrong.code, wrong.stdout], [2, ""]);
  assertStringIncludes(wrong.stderr, 'did you mean "--model"?');
  const help = await task(box, "chat", "--help");
  assertMatch(help.stdout, /^Usage: (npx --yes )?deno task chat /);
});

Deno.test("the task of doctor says what is wrong with a configuration that cannot be used", async () => {
  await using box = new Sandbox();
  const path = `${box.dir}/config.json`;
  Deno.writeTextFileSync(path, '{"paralel":1}');
  const { code, stdout } = await task(box, "doctor", "--config", path);
  assertEquals(code, 1);
  assertMatch(stdout, /^\[FAIL\] config: Cannot use ".*": paralel: /m);
});

Deno.test({
  name: "a home with a comma, quotes and a space is served, restarted, asked and stopped like any other",
  // Deno's flags cannot name it; elsewhere there is no file in memory for what can.
  ignore: Deno.build.os !== "linux",
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const home = `${box.dir}/it's, "my" home`;
    const ask = ["generate", "--temperature", "0", "What is the capital of France?"];
    Deno.mkdirSync(home);
    await using daemon = box.spawn(["serve", "--http", "127.0.0.1:0"], {
      env: { HOME: home, XDG_RUNTIME_DIR: home, INFERD_LOG_DIR: `${home}/logs` },
    });
    const [, url = ""] = await daemon.stderr.match(/Listening on (\S+)\n/);
    await daemon.stderr.has("inferd is ready");
    assertEquals(await taskAt(home, box, ...ask), { code: 0, stdout: "Paris.\n", stderr: "" });
    const models = await fetch(`${url}/v1/models`);
    assertStringIncludes(await models.text(), "inferd-tiny");
    Deno.kill(daemon.enginePid, "SIGKILL");
    await daemon.stderr.has("engine_restarted");
    assertEquals((await taskAt(home, box, ...ask)).stdout, "Paris.\n");
    assertStringIncludes((await taskAt(home, box, "doctor")).stdout, "[ ok ] permissions");
    const stopped = await taskAt(home, box, "stop");
    assertEquals(stopped.code, 0, stopped.stderr);
    const { code, stderr } = await daemon.outcome;
    assertEquals([code, stderr.includes("experimental"), stderr.includes("NotCapable")], [0, false, false], stderr);
  },
});
