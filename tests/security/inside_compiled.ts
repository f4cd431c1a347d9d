/**
 * As `inside_monitored.ts`, run as an executable made by `deno compile`. The main thread of the daemon's process also
 * tries everything, and prints that on stderr.
 */
import { runCompiled, SELF } from "../support/compiled.ts";
import { attemptAll, onceDropped } from "./inside_attempts.ts";

// By the main thread of a confined process.
void onceDropped({ name: "run" }).then(async () => {
  console.error(`MAIN THREAD ${JSON.stringify(await attemptAll())}`);
});
await runCompiled(import.meta.resolve("./inside_monitored_daemon.ts"), [...SELF, import.meta.url]);
