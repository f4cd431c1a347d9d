/** Threat: the permissions of the daemon depend on how inferd was started, or a process keeps more than it needs. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { admin } from "@inferd/client";
import { argumentsOf } from "../support/processes.ts";
import { HTTP_MAIN, type Outcome, Sandbox } from "../support/program.ts";
import { ALL_REFUSED } from "./inside_attempts.ts";

const LINUX = Deno.build.os === "linux";
const MOCK = ["--backend", "mock"];

async function flagsOf(
  box: Sandbox,
  role: string,
  args: readonly string[] = MOCK,
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { stdout, code, stderr } = await box.run(["permissions", role, ...args], { env });
  assertEquals(code, 0, stderr);
  // Paths of a sandbox have no spaces.
  return stdout.trim().split(" ");
}

for (const permissions of ["-A", "exact"]) {
  Deno.test({
    name:
      `serve runs the daemon with exact permissions and an environment of its own when it has ${permissions} itself`,
    ignore: !LINUX,
    async fn(): Promise<void> {
      await using box = new Sandbox();
      const env = {
        AWS_SECRET_ACCESS_KEY: "hunter2",
        INFERD_QUEUE_DEPTH: "7",
        NODE_EXTRA_CA_CERTS: `${box.dir}/ca.pem`,
      };
      await Deno.writeTextFile(env.NODE_EXTRA_CA_CERTS, "");
      const given = permissions === "-A" ? ["-A"] : await flagsOf(box, "serve");
      await using daemon = await box.serve([...MOCK, "--tcp", "127.0.0.1:0"], { env, permissions: given });
      const own = argumentsOf(daemon.daemonPid);
      assertEquals(
        own.filter((argument) => /^(--allow|--no-prompt|-A)/.test(argument)),
        await flagsOf(box, "daemon", [...MOCK, "--tcp", "127.0.0.1:0"]),
      );
      const environ = Deno.readTextFileSync(`/proc/${daemon.daemonPid}/environ`);
      const expected = ["hunter2", "INFERD_QUEUE_DEPTH=7", `NODE_EXTRA_CA_CERTS=${env.NODE_EXTRA_CA_CERTS}`];
      assertEquals(expected.map((text) => environ.includes(text)), [false, true, true]);
      daemon.kill("SIGTERM");
      assertEquals((await daemon.outcome).code, 0);
    },
  });
}

for (const permissions of ["-A", "exact"]) {
  Deno.test({
    name: `a model and folders behind symbolic links are read and written when serve has ${permissions}`,
    ignore: Deno.build.os === "windows",
    async fn(): Promise<void> {
      await using box = new Sandbox();
      const models = new URL("../../models", import.meta.url).pathname;
      await Deno.mkdir(`${box.dir}/run`, { mode: 0o700 });
      for (const [target, link] of [[models, "models"], [`${box.dir}/run`, "linked"]] as const) {
        await Deno.symlink(target, `${box.dir}/${link}`);
      }
      await Deno.symlink(`${box.dir}/models/inferd-tiny.gguf`, `${box.dir}/model.gguf`);
      const linked = `${box.dir}/linked`;
      const env = { XDG_RUNTIME_DIR: linked, INFERD_LOG_DIR: `${linked}/logs` };
      const args = ["--model", `${box.dir}/model.gguf`, "--lock", `${linked}/lock`];
      const given = permissions === "-A" ? ["-A"] : await flagsOf(box, "serve", args, env);
      await using daemon = box.spawn(["serve", ...args], { env, permissions: given });
      const ended = daemon.outcome.then(({ stderr }) => {
        throw new Error(`The daemon ended before it was ready: ${stderr}`);
      });
      await Promise.race([admin({ path: `${linked}/inferd/admin.sock` }).ready(), ended]);
      daemon.kill("SIGTERM");
      ended.catch(() => {});
      assertEquals((await daemon.outcome).code, 0);
    },
  });
}

const DAEMON = new URL("../../src/cli/daemon_main.ts", import.meta.url).pathname;
for (const role of ["serve", "daemon"]) {
  Deno.test(`${role} says in one line which flag is missing when it has all others`, async () => {
    await using box = new Sandbox();
    const flags = (await flagsOf(box, role, [])).filter((flag) => flag.startsWith("--allow-"));
    assert(flags.length >= (role === "serve" ? 5 : 6), flags.join(" "));
    for (const flag of flags) {
      const [name = ""] = flag.split("=");
      const { code, stderr } = await box.run(role === "serve" ? ["serve"] : [], {
        ...role === "serve" ? {} : { program: DAEMON },
        permissions: ["--no-prompt", ...flags.filter((other) => other !== flag)],
        stdin: "",
      });
      // What configuration cannot read is an error of the command line.
      assertEquals([code, stderr.trim().split("\n").length], [name === "--allow-read" ? 2 : 1, 1], stderr);
      assertMatch(stderr, /^inferd: /);
      assertStringIncludes(stderr, name);
    }
  });
}

Deno.test("the HTTP bridge says in one line which flag is missing when it has all others", async () => {
  await using box = new Sandbox();
  const flags = await flagsOf(box, "http", ["--http", "127.0.0.1:0"]);
  // Who asks for the user's id is the client where no variable says where the sockets are.
  const needed = flags.filter((flag) => flag.startsWith("--allow-") && flag !== "--allow-sys=uid");
  assertEquals(needed.length, 5, flags.join(" "));
  for (const flag of needed) {
    const [name = ""] = flag.split("=");
    const bridge = box.spawn(["--http", "127.0.0.1:0"], {
      program: HTTP_MAIN,
      permissions: flags.filter((other) => other !== flag),
    });
    const first = await Promise.race([bridge.outcome, bridge.stderr.has("Listening")]);
    if (first === undefined) bridge.kill("SIGTERM");
    const { code, stderr } = await bridge.outcome;
    assertEquals([code, stderr.trim().split("\n").length], [name === "--allow-read" ? 2 : 1, 1], stderr);
    assertMatch(stderr, /^inferd: /);
    assertStringIncludes(stderr, name === "--allow-net" ? "permissions http" : name);
  }
});

/** Run a program of this folder as the one that is to be tried from inside. */
async function inside(
  box: Sandbox,
  file: string,
  { flags, args = [] }: { readonly flags: readonly string[]; readonly args?: readonly string[] },
): Promise<Outcome> {
  return await box.run([...args], {
    program: new URL(file, import.meta.url).pathname,
    permissions: ["--quiet", "--no-prompt", ...flags],
  });
}

Deno.test("code in a monitor is refused everything but what starting takes", async () => {
  await using box = new Sandbox();
  const exact = await inside(box, "./inside_monitor.ts", { flags: await flagsOf(box, "serve") });
  assertEquals(JSON.parse(exact.stdout), ALL_REFUSED);
  // A permission that was given for every program cannot be narrowed.
  const whole = await inside(box, "./inside_monitor.ts", { flags: ["-A"] });
  assertEquals(JSON.parse(whole.stdout), { ...ALL_REFUSED, run: "allowed" });
});

for (const permissions of ["-A", "exact"]) {
  Deno.test(`daemon: run refused after boot, and it cannot order anything of its own, when its monitor has ${permissions}`, async () => {
    await using box = new Sandbox();
    const flags = permissions === "-A" ? ["-A"] : await flagsOf(box, "serve", []);
    // With a model, so that an engine runs.
    const { code, stderr } = await inside(box, "./inside_monitored.ts", { flags });
    assertStringIncludes(stderr, "engine_started");
    const [, found = ""] = /^ATTEMPTS (.*)$/m.exec(stderr) ?? [];
    assertEquals(JSON.parse(found), { ...ALL_REFUSED, deno: "refused" });
    assertMatch(stderr, /\ninferd: The daemon sent something other than an order\n$/);
    assertEquals(code, 1);
  });
}

Deno.test("daemon of an executable: everything refused after boot, in the worker and beside it", async () => {
  await using box = new Sandbox();
  const { code, stderr } = await inside(box, "./inside_compiled.ts", {
    flags: ["-A", "--unstable-worker-options"],
    args: ["serve"],
  });
  assertStringIncludes(stderr, "engine_started");
  const [, found = ""] = /^ATTEMPTS (.*)$/m.exec(stderr) ?? [];
  assertEquals(JSON.parse(found), { ...ALL_REFUSED, deno: "refused" });
  const [, beside = ""] = /^MAIN THREAD (.*)$/m.exec(stderr) ?? [];
  assertEquals(JSON.parse(beside), ALL_REFUSED);
  assertMatch(stderr, /\ninferd: The daemon sent something other than an order\n$/);
  assertEquals(code, 1);
});

Deno.test("the daemon ends when its monitor is killed, and the next one starts", async () => {
  await using box = new Sandbox();
  await using first = await box.serve(MOCK);
  first.kill("SIGKILL");
  await first.outcome;
  await box.untilUnlocked();
  await using second = await box.serve(MOCK);
  second.kill("SIGTERM");
  assertEquals((await second.outcome).code, 0);
});

Deno.test("the monitor ends with the daemon, says what it could not say itself, and starts no other", async () => {
  await using box = new Sandbox();
  await using daemon = await box.serve(MOCK);
  Deno.kill(daemon.daemonPid, "SIGKILL");
  const { code, stderr } = await daemon.outcome;
  assertEquals(code, 137);
  assertMatch(stderr, /\ninferd: The daemon was ended by SIGKILL\n$/);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`the daemon drains when its monitor gets ${signal}`, async () => {
    await using box = new Sandbox();
    await using daemon = await box.serve(MOCK);
    daemon.kill(signal);
    const { code, stderr } = await daemon.outcome;
    assertEquals([code, stderr.includes("draining")], [0, true], stderr);
  });
}

Deno.test("serve works in folders whose names have spaces, quotes and equals signs", async () => {
  await using box = new Sandbox();
  const home = `${box.dir}/it's "a"; b=c $x`;
  Deno.mkdirSync(home);
  const env = { HOME: home, INFERD_LOG_DIR: `${home}/logs` };
  await using daemon = await box.serve(MOCK, { env });
  assertEquals((await box.run(["generate", "hi"], { env })).code, 0);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.outcome).code, 0);
});

Deno.test({
  name: "serve gives its daemon exact permissions for a path with a comma, with the flags that are printed for it",
  ignore: Deno.build.os !== "linux",
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const args = [...MOCK, "--uds", `${box.dir}/a,b.sock`];
    const { stdout } = await box.run(["permissions", "serve", ...args]);
    await using daemon = await box.serve(args, { permissions: stdout.trim().split(" ") });
    const words = argumentsOf(daemon.daemonPid);
    assertEquals(words.filter((word) => word.startsWith("--allow")), []);
    assertEquals((await box.run(["generate", "--uds", `${box.dir}/a,b.sock`, "hi"])).code, 0);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});
