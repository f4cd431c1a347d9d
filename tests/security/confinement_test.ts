/** Threats: native code of an engine that was taken over, a debugger in any of the processes, engines that outlive all. */
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { childrenOf } from "../support/children.ts";
import { HTTP_MAIN, Sandbox } from "../support/program.ts";

const LINUX = Deno.build.os === "linux";
const SIGUSR1_BIT = 1n << 9n;
/** The kernel needs no time to kill a stopped process; a busy machine does. */
const STOPPED_MS = 10_000;
/** Deno listens to SIGUSR1 half a second after it starts. */
const LISTENING_MS = 1500;

/** What the kernel says of a process. */
function status(pid: number): Map<string, string> {
  return new Map(
    Deno.readTextFileSync(`/proc/${pid}/status`).trim().split("\n").map((line) => {
      const [name = "", value = ""] = line.split(/:\s*/);
      return [name, value];
    }),
  );
}

/** What is possible to a process that was confined so. */
async function possible(left: string): Promise<string[]> {
  const dir = await Deno.makeTempDir({ prefix: "inferd-confined-" });
  try {
    await Deno.writeTextFile(`${dir}/there`, "");
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
    return JSON.parse(new TextDecoder().decode(stdout)) as string[];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test({
  name: "native code opens, makes, starts, connects and signals nothing when only computing is left to it",
  ignore: !LINUX,
  async fn(): Promise<void> {
    assertEquals(await possible("compute"), []);
    // With an accelerator, its driver opens files and devices.
    assertEquals(await possible("accelerator"), ["open", "socket", "fork", "kill"]);
    // The attempts do work where nothing was taken.
    const all = await possible("nothing taken");
    assert(
      ["open", "creat", "system", "socket", "fork", "kill", "rename"].every((name) => all.includes(name)),
      `${all}`,
    );
  },
});

Deno.test({
  name: "monitor, daemon and engine have no debugger, and the engine's native code is bound, while they serve",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const { stdout } = await box.run(["permissions", "serve"]);
    await using daemon = await box.serve([], { permissions: stdout.trim().split(" ") });
    const { pid: monitor, daemonPid, enginePid: engine } = daemon;
    assertEquals([childrenOf(monitor).sort(), childrenOf(daemonPid)], [[daemonPid, engine].sort(), []]);
    // What Deno would do late is what is looked at.
    await delay(LISTENING_MS);
    for (const pid of [monitor, daemonPid, engine]) {
      Deno.kill(pid, "SIGUSR1");
      const { SigIgn, SigCgt } = Object.fromEntries(status(pid));
      assertEquals(BigInt(`0x${SigIgn}`) & SIGUSR1_BIT, SIGUSR1_BIT);
      assertEquals(BigInt(`0x${SigCgt}`) & SIGUSR1_BIT, 0n);
      assertEquals(status(pid).get("NoNewPrivs"), "1");
      assertEquals(status(pid).get("Seccomp"), "2");
    }
    const answer = await box.run(["generate", "Hello."]);
    assertEquals(answer.code, 0);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
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
    await delay(LISTENING_MS);
    Deno.kill(bridge.pid, "SIGUSR1");
    const { SigIgn, SigCgt } = Object.fromEntries(status(bridge.pid));
    assertEquals(BigInt(`0x${SigIgn}`) & SIGUSR1_BIT, SIGUSR1_BIT);
    assertEquals(BigInt(`0x${SigCgt}`) & SIGUSR1_BIT, 0n);
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
      Deno.kill(role === "monitor" ? monitor : daemonPid, "SIGKILL");
      await daemon.outcome;
      while (isRunning(engine) || isRunning(daemonPid)) await delay(10);
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
      const deadline = performance.now() + STOPPED_MS;
      while (isRunning(Number(bridge))) {
        assert(performance.now() < deadline, "The bridge still runs");
        await delay(10);
      }
    } finally {
      if (isRunning(Number(bridge))) Deno.kill(Number(bridge), "SIGKILL");
    }
  },
});

function isRunning(pid: number): boolean {
  try {
    return !status(pid).get("State")?.startsWith("Z");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
