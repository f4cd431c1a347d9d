/** Whoever ends a soak has no daemon left. */
import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { Output } from "../support/program.ts";
import { assertEnds, isRunning } from "../support/processes.ts";
import { descendants } from "./faults.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test({
    name: `${signal} to the soak's own process drains its daemon and removes its folder`,
    ignore: Deno.build.os !== "linux",
    async fn(): Promise<void> {
      const folder = Deno.makeTempDirSync({ prefix: "inferd-" });
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", MAIN, "--minutes", "10"],
        // Only what it makes itself is in there.
        env: { TMPDIR: folder, NO_COLOR: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const stdout = new Output(child.stdout);
      await stdout.match(/ s: /); // The first fault: clients are asking.
      const started = descendants(child.pid);
      try {
        assertGreater(started.length, 1, "the daemon and its engines");
        child.kill(signal);
        const { code } = await child.status;
        assertStringIncludes(await stdout.all, "0 faults of the daemon, seed 1, interrupted");
        assertEquals(code, 130);
        await assertEnds(started);
        assertEquals([...Deno.readDirSync(folder)], []);
      } finally {
        for (const pid of started.filter(isRunning)) Deno.kill(pid, "SIGKILL");
        Deno.removeSync(folder, { recursive: true });
      }
    },
  });
}
