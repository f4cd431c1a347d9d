/**
 * As `inside_monitored.ts`, run as an executable made by `deno compile`. The main thread of the daemon's process also
 * tries everything, and prints that on stderr.
 */
import { runCompiled, SELF } from "../support/compiled.ts";
import { attemptAll } from "./inside_attempts.ts";

const look = setInterval(async () => {
  // Dropped by the main thread of a confined process.
  if (Deno.permissions.querySync({ name: "run" }).state === "granted") return;
  clearInterval(look);
  console.error(`MAIN THREAD ${JSON.stringify(await attemptAll())}`);
}, 5);
Deno.unrefTimer(look);
await runCompiled(import.meta.resolve("./inside_monitored_daemon.ts"), [...SELF, import.meta.url]);
