/** A monitor that tries everything when its daemon runs, and prints what it could do. The daemon here only waits. */
import { superviseDaemon } from "../../src/monitor/daemon_process.ts";
import { attemptAll } from "./inside_attempts.ts";

const waits = ["eval", "--quiet", "setInterval(() => {}, 1000)"];
const ended = superviseDaemon({ command: Deno.execPath(), args: waits, env: {} });
console.log(JSON.stringify(await attemptAll()));
// Signals still reach the daemon.
Deno.kill(Deno.pid, "SIGTERM");
void ended;
