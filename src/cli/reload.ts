/** `inferd reload`: makes the daemon reload its configuration, as SIGHUP does, and reports the result. */
import type { AdminEvent, ReloadedEvent, ReloadFailedEvent } from "@inferd/client";
import { type Command, parseCommand } from "./command.ts";
import { unreachable } from "./reach.ts";
import { type RunningDaemon, runningDaemon, SignalError } from "./signal_daemon.ts";
import { complain, print } from "./terminal/output.ts";

export const reload: Command = {
  name: "reload",
  usage: "reload [FLAGS]",
  summary: "Have the daemon read its configuration again while it serves",
  settings: ["config", "adminAddr", "lock"],
  flags: [],
  notes: [
    "Waits until the new models are loaded and get the requests. A configuration that cannot be used changes nothing.",
    "The daemon reads the file it was started with; --config is only where this command looks for the daemon.",
  ],
  exits: [
    "0 the configuration is served",
    "1 it cannot be used, the reason is on stderr, or the daemon could not be signalled",
    "2 there is no daemon, or bad flags or configuration file",
  ],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    let outcome: ReloadedEvent | ReloadFailedEvent | undefined;
    try {
      outcome = await reloadAndWait(await runningDaemon(flags, machine));
    } catch (error) {
      if (!(error instanceof SignalError)) throw unreachable(error);
      complain(`inferd: ${error.message}`);
      return 1;
    }
    if (outcome?.status !== "reloaded") {
      complain(`inferd: Not reloaded: ${outcome?.reason ?? "the daemon has ended"}`);
      return 1;
    }
    const { needsRestart } = outcome;
    print("Reloaded");
    if (needsRestart.length > 0) complain(`Changed, but used only after a restart: ${needsRestart.join(", ")}`);
    return 0;
  },
};

/** The result; `undefined` if the daemon exited meanwhile. */
async function reloadAndWait(daemon: RunningDaemon): Promise<ReloadedEvent | ReloadFailedEvent | undefined> {
  let isAsked = false;
  for await (const event of daemon.admin.watch()) {
    if (isAsked && (event.status === "reloaded" || event.status === "reload_failed")) return event;
    // Events before the first state event are replayed, possibly from an earlier reload.
    if (isAsked || !isState(event)) continue;
    isAsked = true;
    daemon.signal("SIGHUP");
  }
  return undefined;
}

function isState({ status }: AdminEvent): boolean {
  return status !== "capabilities" && status !== "log_stopped" && status !== "reload_failed" && status !== "reloaded";
}
