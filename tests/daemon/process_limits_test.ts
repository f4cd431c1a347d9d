/** A daemon whose process may not have what it wants: descriptors, long files. */
import { assertEquals } from "@std/assert";
import { recordsIn, untilLogged } from "../support/log_file.ts";
import { Sandbox } from "../support/program.ts";
import { ask } from "../support/serving.ts";
import { WireClient } from "../support/wire_client.ts";

const HAS_PRLIMIT = await hasPrlimit();

/** What it has open already, and a few connections. */
const MOST_DESCRIPTORS = 48;
const CONNECTIONS = 64;

async function hasPrlimit(): Promise<boolean> {
  try {
    return (await new Deno.Command("prlimit", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

async function limit(pid: number, what: "nofile" | "fsize", to: number): Promise<void> {
  const args = ["--pid", String(pid), `--${what}=${to}:`];
  const { success, stderr } = await new Deno.Command("prlimit", { args }).output();
  assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
}

Deno.test({
  name:
    "a daemon out of descriptors says so once, keeps who is connected, and serves who waits when there are some again",
  ignore: !HAS_PRLIMIT,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve(["--backend", "mock"]);
    const socket = `${box.runtimeDir}/infer.sock`;
    const log = `${box.dir}/logs/inferd.ndjson`;
    using before = await WireClient.connect(socket);
    await before.send(ask({ stream: false }));
    assertEquals((await before.frame()).type, "done");
    // The log has its descriptor then.
    await untilLogged(log, "ready");
    await limit(daemon.daemonPid, "nofile", MOST_DESCRIPTORS);
    // The kernel takes them, whether the daemon can accept them or not.
    const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => WireClient.connect(socket)));
    await untilLogged(log, "accept_failed");
    await before.send(ask({ stream: false }));
    assertEquals((await before.frame()).type, "done");
    const last = clients.pop();
    for (const client of clients) client.close();
    await last?.send(ask({ stream: false }));
    assertEquals((await last?.frame())?.type, "done");
    last?.close();
    await untilLogged(log, "accept_resumed");
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
    const told = recordsIn(log).filter(({ msg }) => msg === "accept_failed" || msg === "accept_resumed");
    assertEquals(told.map(({ msg }) => msg).slice(0, 2), ["accept_failed", "accept_resumed"]);
  },
});

Deno.test({
  name: "a daemon that may not make its log longer (ulimit -f) says so and goes on",
  ignore: !HAS_PRLIMIT,
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using daemon = await box.serve(["--backend", "mock"]);
    using client = await WireClient.connect(`${box.runtimeDir}/infer.sock`);
    await limit(daemon.daemonPid, "fsize", 1);
    await client.send(ask({ stream: false }));
    assertEquals((await client.frame()).type, "done");
    await daemon.stderr.has("the activity log has stopped");
    await client.send(ask({ stream: false }));
    assertEquals((await client.frame()).type, "done");
    daemon.kill("SIGTERM");
    assertEquals((await daemon.outcome).code, 0);
  },
});
