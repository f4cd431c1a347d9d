/**
 * `inferd uninstall`: lists everything this program has left on the machine and how to remove it. Removes nothing
 * itself.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bold, dim } from "@std/fmt/colors";
import { homeDirectory } from "../config/home.ts";
import type { DaemonOptions } from "../config/options.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import { denoWords, quoted, typed } from "../config/setting/typed_command.ts";
import { type Command, parseCommand } from "./command.ts";
import { serviceFile } from "./service.ts";
import { size } from "./terminal/amounts.ts";
import { print } from "./terminal/output.ts";

export const uninstall: Command = {
  name: "uninstall",
  usage: "uninstall [--json] [FLAGS]",
  summary: "List what inferd has put on this machine and how to remove it; removes nothing itself",
  settings: ["config", "logDir"],
  flags: [{ flag: "--json", help: "print the list as one JSON array" }],
  exits: ["0 done", "2 bad flags, environment or configuration file"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const options = await readOptions(flags.values, machine);
    const found = traces(options, machine).filter(({ path }) => path === undefined || exists(path));
    if (flags.booleans.has("json")) {
      print(JSON.stringify(found.map(({ what, path, bytes, remove }) => {
        return { what, path: path ?? null, bytes: bytes ?? null, remove };
      })));
      return 0;
    }
    print("To remove inferd, run these, in this order:");
    for (const { what, path, bytes, remove } of found) {
      const amount = bytes === undefined ? "" : `, ${size(bytes)}`;
      print(`\n${bold(what)}${path === undefined ? "" : dim(` ("${path}"${amount})`)}\n  ${remove}`);
    }
    return 0;
  },
};

/** Something left on the machine. */
interface Trace {
  readonly what: string;
  /** Undefined if it is not a file. */
  readonly path?: string | undefined;
  readonly bytes?: number | undefined;
  /** Command line that removes it. */
  readonly remove: string;
}

function traces(options: DaemonOptions, machine: Machine): Trace[] {
  const home = homeDirectory(machine.env);
  const unit = serviceFile(machine);
  const own = home === undefined ? undefined : join(home, ".inferd");
  const isInside = (path: string): boolean => own !== undefined && path.startsWith(`${own}/`);
  const folder = (what: string, path: string | undefined): Trace[] =>
    path === undefined || !exists(path) ? [] : [{ what, path, bytes: bytesIn(path), remove: `rm -r ${quoted(path)}` }];
  return [
    { what: "Daemons that run", remove: typed("stop --all") },
    ...unit === undefined ? [] : [{ what: "The service", path: unit, remove: typed("service uninstall") }],
    ...folder("Models; programs that use the same store lose them, too", options.modelsHome),
    ...folder("Settings, logs, chat history and native libraries", own),
    ...isInside(options.runtimeDir) ? [] : folder("Sockets and locks", options.runtimeDir),
    ...isInside(options.logDir) ? [] : folder("Logs", options.logDir),
    ...program(machine),
  ];
}

/** The program itself: the command, and where its code is. */
function program({ env }: Machine): Trace[] {
  if (Deno.build.standalone) {
    const path = Deno.execPath();
    return [{ what: "The program", path, remove: `rm ${quoted(path)}` }];
  }
  const installed = (env("PATH") ?? "").split(":").map((folder) => join(folder, "inferd")).find(exists);
  const byDeno = [env("DENO_INSTALL_ROOT") || join(env("HOME") ?? "", ".deno"), "bin"].join("/");
  const main = import.meta.resolve("../../main.ts");
  const checkout = main.startsWith("file:") ? dirname(fileURLToPath(main)) : undefined;
  return [
    ...installed === undefined ? [] : [{
      what: "The command",
      path: installed,
      remove: dirname(installed) === byDeno
        ? `${denoWords(Deno.execPath())} uninstall -g inferd`
        : `rm ${quoted(installed)}`,
    }],
    checkout === undefined
      ? { what: "The downloaded code, with that of all other programs", remove: "deno clean" }
      : { what: "The checkout", path: checkout, remove: `rm -r ${quoted(checkout)}` },
  ];
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // this user has nothing to remove there
  }
}

/** Total size of a folder, as far as it is readable. */
function bytesIn(path: string): number {
  try {
    const info = Deno.lstatSync(path);
    if (!info.isDirectory) return info.size;
    return [...Deno.readDirSync(path)].reduce((sum, { name }) => sum + bytesIn(join(path, name)), 0);
  } catch {
    return 0;
  }
}
