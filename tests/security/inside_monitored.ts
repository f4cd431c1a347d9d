/** A monitor whose daemon tries everything, see `inside_monitored_daemon.ts`. */
import { runMonitor } from "../../src/cli/serve.ts";
import { thisMachine } from "../../src/cli/program.ts";

const program = import.meta.resolve("./inside_monitored_daemon.ts");
Deno.exit(await runMonitor(Deno.args, thisMachine(), { program }));
