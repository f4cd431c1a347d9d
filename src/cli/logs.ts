/** `inferd logs`: prints the end of the daemon's log, and with `-f` follows it. */
import { join } from "@std/path";
import { loadConfig } from "../config/load.ts";
import { numberFlag } from "../config/flags.ts";
import { LOG_FILE } from "../config/options.ts";
import { resolveOptions } from "../config/resolve.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { type Command, parseCommand } from "./command.ts";
import { writeText } from "./terminal/output.ts";

const DEFAULT_LINES = 50;
/** How much of the end of the file is read. */
const TAIL_BYTES = 1024 * 1024;

export const logs: Command = {
  name: "logs",
  usage: "logs [-f] [--lines N] [FLAGS]",
  summary: "Show the end of the daemon's log, one JSON record per line",
  settings: ["config", "logDir"],
  flags: [
    { flag: "--follow", help: "-f: go on with what is added, until Ctrl-C" },
    { flag: "--lines N", help: `how many lines (default: ${DEFAULT_LINES})` },
  ],
  exits: ["0 done", "2 there is no log, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args.map((arg) => arg === "-f" ? "--follow" : arg), machine.env, 0);
    const lines = numberFlag(flags, "lines", { least: 0, most: 1_000_000, whole: true }) ?? DEFAULT_LINES;
    const options = resolveOptions(flags.values, machine, await loadConfig(flags.values, machine.env));
    const path = join(options.logDir, LOG_FILE);
    let from: number;
    try {
      from = await showEnd(path, lines);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new UsageError(`There is no log at "${path}" yet; a daemon writes it`);
    }
    if (flags.booleans.has("follow")) await follow(path, from);
    return 0;
  },
};

/** Print the last lines; returns the size of the file. */
async function showEnd(path: string, count: number): Promise<number> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const text = await readFrom(file, Math.max(0, size - TAIL_BYTES), size);
  const lines = text.split("\n").slice(0, -1);
  if (size > TAIL_BYTES) lines.shift(); // It is truncated.
  for (const line of count === 0 ? [] : lines.slice(-count)) await writeText(Deno.stdout, `${line}\n`);
  return size;
}

/** Print appended lines. The file is rotated when full. */
async function follow(path: string, from: number): Promise<void> {
  const stop = new AbortController();
  const watcher = Deno.watchFs(join(path, ".."));
  const interrupt = (): void => {
    stop.abort();
    watcher.close();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  let at = from;
  const more = async (): Promise<void> => {
    try {
      using file = await Deno.open(path);
      const { size } = await file.stat();
      if (size < at) at = 0;
      await writeText(Deno.stdout, await readFrom(file, at, size));
      at = size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  try {
    await more();
    for await (const _ of watcher) await more();
  } finally {
    if (!stop.signal.aborted) watcher.close();
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

async function readFrom(file: Deno.FsFile, from: number, to: number): Promise<string> {
  await file.seek(from, Deno.SeekMode.Start);
  const bytes = new Uint8Array(to - from);
  let length = 0;
  for (let read: number | null = 0; length < bytes.length; length += read) {
    read = await file.read(bytes.subarray(length));
    if (read === null) break;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
