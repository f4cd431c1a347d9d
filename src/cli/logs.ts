/** `inferd logs`: prints the end of the daemon's log, and with `-f` follows it. */
import { join } from "node:path";
import { numberFlag } from "../config/flags.ts";
import { LOG_FILE } from "../config/options.ts";
import { readOptions } from "../config/resolve.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { type Command, parseCommand } from "./command.ts";
import { readable } from "./terminal/log_line.ts";
import { writeText } from "./terminal/output.ts";

const DEFAULT_LINES = 50;
/** How much of the end of the file is read first. */
const TAIL_BYTES = 256 * 1024;
/** `-f`, `-n 20`, `-n20`, `-fn20`. */
const SHORT_FLAGS = /^-(f)?(?:(n)(\d+)?)?$/;

/** Prints lines of the log. */
type Show = (lines: readonly string[]) => Promise<void>;

export const logs: Command = {
  name: "logs",
  usage: "logs [-f] [-n N] [--json] [FLAGS]",
  summary: "Show the end of the daemon's log",
  settings: ["config", "logDir"],
  flags: [
    { flag: "--follow", help: "-f: go on with what is added, until Ctrl-C" },
    { flag: "--lines N", help: `-n N: how many lines (default: ${DEFAULT_LINES})` },
    { flag: "--json", help: "print the records as they are in the file, one JSON object per line" },
  ],
  exits: ["0 done", "2 there is no log, or bad flags"],

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args.flatMap(longFlags), machine.env, 0);
    const lines = numberFlag(flags, "lines", { min: 0, max: 1_000_000, whole: true }) ?? DEFAULT_LINES;
    const options = await readOptions(flags.values, machine);
    const path = join(options.logDir, LOG_FILE);
    const isJson = flags.booleans.has("json");
    const show: Show = async (texts) => {
      const shown = isJson ? texts : texts.map(readable);
      // A readable line is escaped, and may have colours.
      await writeText(Deno.stdout, shown.map((text) => `${text}\n`).join(""), !isJson);
    };
    let from: number;
    try {
      from = await showEnd(path, lines, show);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new UsageError(`There is no log at "${path}" yet; a daemon writes it`);
    }
    if (flags.booleans.has("follow")) await follow(path, from, show);
    return 0;
  },
};

function longFlags(arg: string): string[] {
  const [, follow, lines, count] = SHORT_FLAGS.exec(arg) ?? [];
  if (follow === undefined && lines === undefined) return [arg];
  return [
    ...follow === undefined ? [] : ["--follow"],
    ...lines === undefined ? [] : ["--lines", ...count ? [count] : []],
  ];
}

/** Print the last lines; returns where in the file they end. */
async function showEnd(path: string, count: number, show: Show): Promise<number> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  for (let bytes = TAIL_BYTES;; bytes *= 8) {
    const from = Math.max(0, size - bytes);
    const { lines, end } = await linesFrom(file, from, size);
    // The first one is truncated.
    if (from > 0) lines.shift();
    if (from > 0 && lines.length < count) continue;
    await show(count === 0 ? [] : lines.slice(-count));
    return end;
  }
}

/** Print appended lines. The file is rotated when full. */
async function follow(path: string, from: number, show: Show): Promise<void> {
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
      const { lines, end } = await linesFrom(file, size < at ? 0 : at, size);
      await show(lines);
      at = end;
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

/** The whole lines of a part of the file, and where the last one ends. */
async function linesFrom(file: Deno.FsFile, from: number, to: number): Promise<{ lines: string[]; end: number }> {
  await file.seek(from, Deno.SeekMode.Start);
  const bytes = new Uint8Array(to - from);
  let length = 0;
  for (let read: number | null = 0; length < bytes.length; length += read) {
    read = await file.read(bytes.subarray(length));
    if (read === null) break;
  }
  const whole = bytes.subarray(0, length).lastIndexOf(0x0a) + 1;
  const lines = new TextDecoder().decode(bytes.subarray(0, whole)).split("\n").slice(0, -1);
  return { lines, end: from + whole };
}
