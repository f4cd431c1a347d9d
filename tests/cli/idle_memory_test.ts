/** The memory of monitor and daemon once they idle. */
import { assert } from "@std/assert";
import { delay } from "@std/async";
import { childrenOf } from "../support/children.ts";
import { Sandbox } from "../support/program.ts";

const MOST_KIB = 55 * 1024;

for (const permissions of ["-A", "exact"]) {
  Deno.test({
    name: `the monitor has at most 55 MiB resident when it idles, with ${permissions}`,
    ignore: Deno.build.os !== "linux",
    async fn(): Promise<void> {
      await using box = new Sandbox();
      const flags = permissions === "-A" ? ["-A"] : (await box.run(["permissions", "serve"])).stdout.trim().split(" ");
      await using daemon = await box.serve([], { permissions: flags });
      await daemon.stderr.has("inferd is ready");
      const kib = await residentUntil(daemon.pid, MOST_KIB);
      const anonymous = residentKib(daemon.pid, "RssAnon");
      assert(kib <= MOST_KIB, `${kib} KiB are resident, ${anonymous} of them its own`);
    },
  });
}

Deno.test({
  name: "the daemon gives back what large requests left behind",
  ignore: Deno.build.os !== "linux",
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using monitor = await box.serve(["--backend", "mock"]);
    await monitor.stderr.has("inferd is ready");
    const [pid = NaN] = childrenOf(monitor.pid);
    const before = residentKib(pid);
    const line = new TextEncoder().encode(
      JSON.stringify({ id: "large", messages: [{ role: "user", content: "a".repeat(60 * 1024 * 1024) }] }) + "\n",
    );
    await Promise.all(Array.from({ length: 6 }, () => answered(`${box.runtimeDir}/infer.sock`, line)));
    const most = before + 120 * 1024;
    const kib = await residentUntil(pid, most);
    assert(kib <= most, `${kib} KiB are resident, ${before} were before`);
  },
});

/** Send a line, and wait for the beginning of its answer or refusal. */
async function answered(path: string, line: Uint8Array): Promise<void> {
  using connection = await Deno.connect({ transport: "unix", path });
  try {
    for (let sent = 0; sent < line.length;) sent += await connection.write(line.subarray(sent));
  } catch {
    // refused before it was complete
  }
  await connection.read(new Uint8Array(1024)).catch(() => null);
}

/** Resident memory once it is at most so much; after ten seconds, whatever it is. Nothing tells that it was given back. */
async function residentUntil(pid: number, most: number): Promise<number> {
  const end = performance.now() + 10_000;
  while (residentKib(pid) > most && performance.now() < end) await delay(50);
  return residentKib(pid);
}

function residentKib(pid: number, field = "VmRSS"): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
}
