/** `inferd stop`: stops the daemon as a signal does: running requests finish first. */
import { dirname, join } from "node:path";
import { ConnectError } from "@inferd/client";
import { homeDirectory } from "../config/home.ts";
import type { DaemonOptions } from "../config/options.ts";
import { pidPathOf } from "../config/sockets.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import { openHeld } from "../daemon/lock.ts";
import { type Command, parseCommand } from "./command.ts";
import { adminOf, target, unreachable } from "./reach.ts";
import { readPid, SignalError, signalProcess } from "./signal_daemon.ts";
import { complain, print } from "./terminal/output.ts";

export const stop: Command = {
  name: "stop",
  usage: "stop [--all] [FLAGS]",
  summary: "Stop the daemon; running requests finish first",
  settings: ["config", "adminAddr", "lock"],
  flags: [{ flag: "--all", help: "every daemon of this user, also those with another lock or runtime directory" }],
  exits: ["0 it has ended", "1 it could not be signalled", "2 there is none, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const options = await readOptions(flags.values, machine);
    if (flags.booleans.has("all")) return await stopAll(options, machine);
    const admin = adminOf(await target(flags, machine.env));
    try {
      // A process that does not answer is not signalled: the pid may have been reused.
      await admin.snapshot();
    } catch (error) {
      if (!(error instanceof ConnectError && error.retryable)) throw unreachable(error);
      complain("inferd: No daemon is running");
      return 2;
    }
    // Subscribed before the signal, so that the end is not missed.
    const ended = untilEnd(admin.watch());
    if (signal(pidPathOf(options.lockPath)) === undefined) return 1;
    await ended;
    print("Stopped");
    return 0;
  },
};

/** Stop every daemon that holds a lock in a folder where this user may have started one. */
async function stopAll(options: DaemonOptions, machine: Machine): Promise<number> {
  const home = homeDirectory(machine.env);
  const folders = new Set([
    options.runtimeDir,
    dirname(options.lockPath),
    ...home === undefined ? [] : [join(home, ".inferd", "run")],
    // The runtime directory of a login session, when called from outside of one.
    ...machine.env("XDG_RUNTIME_DIR") || machine.uid === null ? [] : [`/run/user/${machine.uid}/inferd`],
  ]);
  const locks = new Set([options.lockPath, ...[...folders].flatMap(locksIn)]);
  let [stopped, failed] = [0, false];
  for (const lock of locks) {
    const holder = exists(lock) ? await openHeld(lock) : undefined;
    if (holder === undefined) continue;
    using file = holder;
    const pid = signal(pidPathOf(lock));
    if (pid === undefined) {
      failed = true;
      continue;
    }
    // Released when the daemon exits.
    await file.lock(false);
    print(`Stopped process ${pid} ("${lock}")`);
    stopped++;
  }
  if (failed) return 1;
  if (stopped > 0) return 0;
  complain("inferd: No daemon is running");
  return 2;
}

function locksIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ name, isFile }) => isFile && name.endsWith(".lock") && exists(pidPathOf(join(folder, name))))
      .map(({ name }) => join(folder, name));
  } catch {
    return []; // the folder does not exist or belongs to another user
  }
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

/** Signals the process in a pid file to end. Returns its id; failures are reported. */
function signal(pidPath: string): number | undefined {
  try {
    const pid = readPid(pidPath);
    signalProcess(pid, "SIGTERM");
    return pid;
  } catch (error) {
    if (!(error instanceof SignalError)) throw error;
    complain(`inferd: ${error.message}`);
    return undefined;
  }
}

async function untilEnd(events: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of events);
  } catch (error) {
    if (unreachable(error) === error) throw error; // It has exited otherwise.
  }
}
