/** `inferd serve` where whatever starts it, or its terminal, does something unusual. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Sandbox } from "../support/program.ts";
import { hasTerminal, Terminal } from "../support/terminal.ts";

const MOCK = ["--backend", "mock"];
const LINUX = Deno.build.os === "linux";

function filesOf(box: Sandbox): string[] {
  return [...Deno.readDirSync(box.runtimeDir)].map(({ name }) => name).sort();
}

Deno.test({
  name: "serve runs and drains when nothing can be written to stderr",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([...MOCK, "--http", "127.0.0.1:0"], { shell: 'exec "$@" 2> /dev/full' });
    assertEquals((await box.run(["generate", "hi"])).code, 0);
    daemon.kill("SIGTERM");
    assertEquals([(await daemon.outcome).code, filesOf(box)], [0, ["inferd.lock"]]);
    assertEquals(Deno.readTextFileSync(`${box.dir}/logs/inferd.ndjson`).includes("http_restarting"), false);
  },
});

Deno.test({
  name: "serve drains when its terminal is closed",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    {
      await using terminal = new Terminal(box, ["serve", ...MOCK]);
      await terminal.screen.has("inferd is ready");
    }
    await box.untilUnlocked();
    assertEquals(filesOf(box), ["inferd.lock"]);
  },
});

Deno.test({
  name: "serve survives its engine when it was started with SIGCHLD ignored",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve([], { shell: 'exec env --ignore-signal=CHLD "$@"' });
    const restarted = (async (): Promise<void> => {
      let seen = "";
      for await (const { status } of box.admin.watch()) {
        if (status === "ready" && seen === "restarting") return;
        if (status === "restarting") seen = status;
      }
      throw new Error("The daemon ended");
    })();
    Deno.kill(daemon.enginePid, "SIGKILL");
    await restarted;
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

Deno.test({
  name: "serve drains on SIGTERM when it was started with that blocked",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve(MOCK, { shell: 'exec env --block-signal=TERM "$@"' });
    daemon.kill("SIGTERM");
    assertEquals([(await daemon.outcome).code, filesOf(box)], [0, ["inferd.lock"]]);
  },
});

Deno.test({
  name: "serve becomes ready when SIGHUP comes before its daemon takes signals",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = box.spawn(["serve", ...MOCK]);
    await daemon.hasStartedDaemon();
    daemon.kill("SIGHUP");
    const ended = daemon.outcome.then(({ code, stderr }) => {
      throw new Error(`The daemon ended with ${code}: ${stderr}`);
    });
    await Promise.race([daemon.stderr.has("inferd is ready"), ended]);
    ended.catch(() => {});
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});

Deno.test({
  name: "serve refuses a folder in which engines could not connect, before it loads anything",
  ignore: !LINUX,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    // The sockets that clients use fit, the private one does not.
    const room = 107 - "/inferd/eng-00000000.sock".length + 1;
    const folder = `${box.dir}/${"x".repeat(room - box.dir.length - 1)}`;
    await Deno.mkdir(folder);
    const { code, stderr } = await box.run(["serve", "--rerank-addr", `${box.dir}/r.sock`], {
      env: { XDG_RUNTIME_DIR: folder },
    });
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "this one has 108; set XDG_RUNTIME_DIR to a shorter folder");
    assertEquals(stderr.trim().split("\n").length, 1, stderr);
  },
});
