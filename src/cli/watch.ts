/** `inferd watch`: follows what the daemon is doing. */
import type { AdminEvent } from "@inferd/client";
import { format as formatBytes } from "@std/fmt/bytes";
import { bold, dim } from "@std/fmt/colors";
import { type Command, parseCommand } from "./command.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { adminFrame } from "./wire.ts";
import { complain, isScreen, print } from "./terminal/output.ts";

export const watch: Command = {
  name: "watch",
  usage: "watch [--json] [FLAGS]",
  summary: "Follow what the daemon is doing until Ctrl-C or until it ends",
  settings: ["config", "adminAddr"],
  flags: [{ flag: "--json", help: "print every event as a frame of the admin socket, one per line" }],
  exits: ["0 on Ctrl-C, or when the daemon ended", "2 unreachable, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const show = flags.booleans.has("json")
      ? (event: AdminEvent): void => print(JSON.stringify(adminFrame(event)))
      : human();
    const stop = new AbortController();
    const onInterrupt = (): void => stop.abort();
    Deno.addSignalListener("SIGINT", onInterrupt);
    try {
      for await (const event of adminOf(await target(flags, machine.env)).watch({ signal: stop.signal })) show(event);
      complain("The daemon has ended");
    } catch (error) {
      if (!stop.signal.aborted) throw unreachable(error);
    } finally {
      Deno.removeSignalListener("SIGINT", onInterrupt);
    }
    return 0;
  },
};

/** A line for each event; on a terminal a bar for a download. */
function human(): (event: AdminEvent) => void {
  const bar = stderrProgress();
  const hasBar = isScreen(Deno.stderr);
  return (event) => {
    if (hasBar && event.status === "loading_model" && event.phase === "download") {
      const { downloadedBytes, totalBytes, sourceUrl } = event;
      const size = totalBytes === null ? "" : ` of ${formatBytes(totalBytes)}`;
      bar.step(`download ${sourceUrl}`);
      bar.at(totalBytes ? downloadedBytes / totalBytes : 0, `${formatBytes(downloadedBytes)}${size}`);
      return;
    }
    if (hasBar) bar.clear();
    const { status, ...rest } = event;
    const details = Object.entries(rest).map(([name, value]) => {
      return `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`;
    });
    print(`${dim(new Date().toTimeString().slice(0, 8))} ${bold(status)} ${details.join(" ")}`.trimEnd());
  };
}
