/** The monitor's memory once it idles. */
import { assert } from "@std/assert";
import { delay } from "@std/async";
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
      // Nothing tells that memory was given back. The rest of the time that the goal allows:
      const end = performance.now() + 10_000;
      while (residentKib(daemon.pid) > MOST_KIB && performance.now() < end) await delay(50);
      const [kib, anonymous] = [residentKib(daemon.pid), residentKib(daemon.pid, "RssAnon")];
      assert(kib <= MOST_KIB, `${kib} KiB are resident, ${anonymous} of them its own`);
    },
  });
}

function residentKib(pid: number, field = "VmRSS"): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
}
