/** Threats: native code of an engine that was taken over, a debugger in any of the processes, engines that outlive all. */
import { assert, assertEquals } from "@std/assert";
import { connect } from "@inferd/client";
import { assertEnds, childrenOf, isRunning, statusOf } from "../support/processes.ts";
import { HTTP_MAIN, Sandbox } from "../support/program.ts";
import { eventually } from "../support/waiting.ts";

const LINUX = Deno.build.os === "linux";
const SIGUSR1_BIT = 1n << 9n;

/** The kernel ends an engine at once, the monitor as soon as it has heard that the daemon is gone. */
const MOST_DYING_MS = 10_000;

/** Whether a process ignores or catches the signal with which any process of this user opens Deno's debugger. */
function onDebuggerSignal(pid: number): "ignores" | "catches" | "dies" {
  const has = (field: string): boolean => (BigInt(`0x${statusOf(pid, field)}`) & SIGUSR1_BIT) !== 0n;
  return has("SigCgt") ? "catches" : has("SigIgn") ? "ignores" : "dies";
}

/**
 * Deno catches that signal some time after it starts: resolves when a process that is not confined, and started later
 * than those of the test, does.
 */
async function untilDenoListens(): Promise<void> {
  const program = "await Deno.stdin.read(new Uint8Array(1))";
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", program], stdin: "piped" }).spawn();
  try {
    await eventually("a Deno that a debugger can reach", () => onDebuggerSignal(child.pid) === "catches");
  } finally {
    await child.stdin.close();
    await child.status;
  }
}

/** Files that it has open for writing. */
const CACHES = ["shared", "write", "pwrite", "map", "other"];

/** What is possible to a process that was confined so, and which of its files were changed. */
async function possible(left: string): Promise<string[]> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-confined-" });
  try {
    await Deno.writeTextFile(`${dir}/there`, "");
    for (const name of CACHES) await Deno.writeTextFile(`${dir}/cache ${name}`, "old");
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--quiet",
        "-A",
        new URL("../support/confined_child.ts", import.meta.url).href,
        left,
        dir,
      ],
      stderr: "inherit",
    }).output();
    const changed = CACHES.filter((name) => Deno.readTextFileSync(`${dir}/cache ${name}`) !== "old");
    return [...JSON.parse(new TextDecoder().decode(stdout)), ...changed.map((name) => `${name} changed`)];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test({
  name: "native code opens, makes, writes, starts, connects and signals nothing when only computing is left to it",
  ignore: !LINUX,
  async fn(): Promise<void> {
    assertEquals(await possible("compute"), []);
    // With an accelerator, its driver opens files and devices.
    const files = ["write", "pwrite", "map", "dup", "fcntl", "close"];
    const changes = ["shared changed", "write changed", "pwrite changed", "map changed"];
    assertEquals(await possible("accelerator"), ["open", "socket", "fork", "kill", ...files, ...changes]);
    // The attempts do work where nothing was taken.
    const all = await possible("nothing taken");
    assert(
      ["open", "creat", "system", "socket", "fork", "kill", "rename", ...files, ...changes].every((name) =>
        all.includes(name)
      ),
      `${all}`,
    );
  },
});

Deno.test({
  name: "monitor, daemon and engine have no debugger, and the engine's native code is bound, while they serve",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([], { permissions: await box.exactPermissions() });
    const { pid: monitor, daemonPid, enginePid: engine } = daemon;
    assertEquals([childrenOf(monitor).sort(), childrenOf(daemonPid)], [[daemonPid, engine].sort(), []]);
    await untilDenoListens();
    for (const pid of [monitor, daemonPid, engine]) {
      Deno.kill(pid, "SIGUSR1");
      assertEquals([pid, onDebuggerSignal(pid)], [pid, "ignores"]);
      assertEquals([statusOf(pid, "NoNewPrivs"), statusOf(pid, "Seccomp")], ["1", "2"]);
    }
    const answer = await box.run(["generate", "Hello."]);
    assertEquals(answer.code, 0);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

Deno.test({
  name: "an engine that may only compute tokenizes a long text in another thread, and serves meanwhile",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([]);
    const { enginePid } = daemon;
    await using client = await connect({ path: `${box.runtimeDir}/infer.v2.sock` });
    const [tokens, answer] = await Promise.all([
      client.tokenize("ab".repeat(50_000)),
      box.run(["generate", "Hello."]),
    ]);
    assertEquals(answer.code, 0);
    assert(tokens.length > 1000);
    assertEquals(daemon.enginePid, enginePid);
  },
});

Deno.test({
  name: "the HTTP bridge has no debugger, whoever starts it",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const { stdout } = await box.run(["permissions", "http", "--http", "127.0.0.1:0"]);
    await using bridge = box.spawn(["--http", "127.0.0.1:0"], {
      permissions: stdout.trim().split(" "),
      program: HTTP_MAIN,
    });
    await bridge.stderr.has("Listening on");
    await untilDenoListens();
    Deno.kill(bridge.pid, "SIGUSR1");
    assertEquals(onDebuggerSignal(bridge.pid), "ignores");
    bridge.kill("SIGTERM");
    assertEquals((await bridge.outcome).code, 0);
  },
});

Deno.test({
  name: "engine sees nothing of the user's environment but what it needs",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([], { env: { INFERD_API_KEY: "sesame-4711", MY_TOKEN: "sesame-4712" } });
    const environment = Deno.readTextFileSync(`/proc/${daemon.enginePid}/environ`);
    assert(environment.includes("HOME="), environment);
    assert(!environment.includes("sesame"), environment);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

for (const role of ["monitor", "daemon"]) {
  Deno.test({
    name: `engine ends when its ${role} is killed while it is stopped`,
    ignore: !LINUX,
    async fn(): Promise<void> {
      await using box = new Sandbox();
      await using daemon = await box.serve([]);
      const { pid: monitor, daemonPid, enginePid: engine } = daemon;
      Deno.kill(engine, "SIGSTOP");
      try {
        Deno.kill(role === "monitor" ? monitor : daemonPid, "SIGKILL");
        await assertEnds([engine, daemonPid], { patienceMs: MOST_DYING_MS });
      } finally {
        // Whoever is left keeps the pipes open that the end of the program is read from.
        for (const pid of [engine, daemonPid]) if (isRunning(pid)) Deno.kill(pid, "SIGKILL");
      }
    },
  });
}

Deno.test({
  name: "the HTTP bridge ends when the monitor is killed while the bridge is stopped",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve(["--backend", "mock", "--http", "127.0.0.1:0"]);
    const [, bridge] = await daemon.stderr.match(/http_started pid=(\d+)/);
    await daemon.stderr.has("Listening on");
    Deno.kill(Number(bridge), "SIGSTOP");
    try {
      Deno.kill(daemon.pid, "SIGKILL");
      await assertEnds([Number(bridge)]);
    } finally {
      if (isRunning(Number(bridge))) Deno.kill(Number(bridge), "SIGKILL");
    }
  },
});
