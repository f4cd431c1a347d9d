/** `inferd stop`: ends the daemon as a signal does: running requests finish first. */
import { loadConfig } from "../config/load.ts";
import { pidPathOf } from "../config/pid_path.ts";
import { resolveOptions } from "../config/resolve.ts";
import { type Command, parseCommand } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { complain, print } from "./terminal/output.ts";

export const stop: Command = {
  name: "stop",
  usage: "stop [FLAGS]",
  summary: "Stop the daemon; running requests finish first",
  settings: ["config", "adminAddr", "lock"],
  flags: [],
  exits: ["0 it has ended", "1 it could not be told to stop", "2 there is none, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const options = resolveOptions(flags.values, machine, await loadConfig(flags.values, machine.env));
    const admin = adminOf(await target(flags, machine.env));
    // Who does not answer is not signalled: the number may by now be another program's.
    await admin.snapshot().catch((error: unknown) => {
      throw unreachable(error);
    });
    const path = pidPathOf(options.lockPath);
    let text: string;
    try {
      text = Deno.readTextFileSync(path).trim();
    } catch (error) {
      complain(`inferd: Cannot read "${path}": ${error instanceof Error ? error.message : error}`);
      return 1;
    }
    if (!/^[1-9]\d{0,9}$/.test(text)) {
      complain(`inferd: "${path}" does not hold the number of a process`);
      return 1;
    }
    // Begun before, so that the end is not missed.
    const ended = untilEnd(admin.watch());
    try {
      Deno.kill(Number(text), "SIGTERM");
    } catch (error) {
      complain(`inferd: Cannot stop process ${text}: ${error instanceof Error ? error.message : error}`);
      return 1;
    }
    await ended;
    print("Stopped");
    return 0;
  },
};

async function untilEnd(events: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of events);
  } catch (error) {
    if (unreachable(error) === error) throw error; // Else it has ended.
  }
}
