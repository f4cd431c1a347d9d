/** A process that takes the lock its first argument names, says so, and keeps it until it is killed. */
import { acquireLock } from "../../src/daemon/lock.ts";
import { stayAlive } from "./waiting.ts";

using _lock = await acquireLock(Deno.args[0] ?? "", Deno.pid);
console.log("held");
await stayAlive();
