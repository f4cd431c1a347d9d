/** Main module of the daemon's process, started by `inferd serve`; its arguments are the flags of `serve`. */
import { runDaemon } from "./daemon.ts";
import { dieWithParent } from "./process_guard.ts";
import { runProgram, thisMachine } from "./program.ts";

if (import.meta.main) {
  await runProgram((args) => {
    dieWithParent();
    return runDaemon(args, thisMachine());
  });
}
