/** The memory of the monitor when the daemon is ready, and of the daemon once it idles. */
import { assert } from "@std/assert";
import { childrenOf, kibOf } from "../support/processes.ts";
import { Sandbox } from "../support/program.ts";
import { eventually } from "../support/waiting.ts";

const MOST_KIB = 55 * 1024;

for (const permissions of ["-A", "exact"]) {
  Deno.test({
    name: `the monitor has at most 55 MiB resident when the daemon is ready, with ${permissions}`,
    ignore: Deno.build.os !== "linux",
    async fn(): Promise<void> {
      await using box = new Sandbox();
      const flags = permissions === "-A" ? ["-A"] : await box.exactPermissions();
      await using daemon = await box.serve([], { permissions: flags });
      await daemon.stderr.has("inferd is ready");
      const kib = kibOf(daemon.pid);
      assert(kib <= MOST_KIB, `${kib} KiB`);
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
    const before = kibOf(pid);
    const line = new TextEncoder().encode(
      JSON.stringify({ id: "large", messages: [{ role: "user", content: "a".repeat(60 * 1024 * 1024) }] }) + "\n",
    );
    await Promise.all(Array.from({ length: 6 }, () => answered(`${box.runtimeDir}/infer.sock`, line)));
    await assertResident(pid, before + 120 * 1024);
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

/** Wait until a process has at most so much memory resident. Nothing tells that it was given back. */
async function assertResident(pid: number, mostKib: number): Promise<void> {
  const state = (): string => `at most ${mostKib} KiB; ${kibOf(pid)} are resident, ${kibOf(pid, "RssAnon")} its own`;
  await eventually(state, () => kibOf(pid) <= mostKib, { patienceMs: 10_000 });
}
