/** The interface of commands, and the help text generated from it. */
import { type Env, type ParsedFlags, parseFlags } from "../config/flags.ts";
import { type SettingName, SETTINGS } from "../config/schema.ts";
import { helpOf, type Settings } from "../config/setting/setting.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { typed, typedName } from "../config/setting/typed_command.ts";
import type { Machine } from "../config/resolve.ts";
import { aligned } from "./terminal/output.ts";

/** No daemon is running; the program prints the message and exits with 2. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** Process state passed to a command; nothing else reads arguments or environment. */
export interface CommandContext {
  readonly machine: Machine;
  /** All commands, the default one first. */
  commands(): Promise<readonly Command[]>;
}

export interface OwnFlag {
  /** With a placeholder for the value, e.g. `--max-tokens N`. */
  readonly flag: string;
  readonly help: string;
  /** Allowed values, if they are few words. */
  readonly choices?: readonly string[];
  /** It may be repeated. */
  readonly repeats?: boolean;
  /** Its heading in the help text, if it has one. */
  readonly group?: string;
}

export interface Command {
  readonly name: string;
  /** Usage after `inferd`. */
  readonly usage: string;
  readonly summary: string;
  /** Allowed first arguments, if they are few words. */
  readonly words?: readonly string[];
  /** Settings it accepts, shown with their environment variables. */
  readonly settings: readonly SettingName[];
  readonly flags: readonly OwnFlag[];
  /** Examples for its help: command lines without `inferd`, or complete ones made with {@linkcode typed}. */
  readonly examples?: readonly string[];
  /** Notes for its help, as lines. */
  readonly notes?: readonly string[];
  /** The first argument may be a file. */
  readonly takesFile?: boolean;
  /** Exit codes, one line each. */
  readonly exits: readonly string[];
  /** @throws {UsageError} If the command line is wrong. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

/**
 * Parse a command's flags, its settings and their environment variables.
 *
 * @param words Maximum number of positional arguments; default: no limit.
 * @throws {UsageError} If the command line is wrong.
 */
export function parseCommand(
  { flags, settings }: Pick<Command, "flags" | "settings">,
  args: readonly string[],
  env: Env,
  words?: number,
): ParsedFlags {
  const named = (fits: (flag: OwnFlag) => boolean): string[] => flags.filter(fits).map(({ flag }) => nameOf(flag));
  return parseFlags(args, env, {
    settings,
    booleans: named(({ flag }) => !takesValue(flag)),
    strings: named(({ flag, repeats }) => takesValue(flag) && !repeats),
    lists: named(({ repeats = false }) => repeats),
    ...(words === undefined ? {} : { words }),
  });
}

/** The name in `--max-tokens N`. */
export function nameOf(flag: string): string {
  return flag.replace(/^--| .*$/g, "");
}

function takesValue(flag: string): boolean {
  return flag.includes(" ");
}

/** The error for an unknown action of a command. */
export function unknownAction(action: string | undefined, actions: readonly string[], what = "action"): UsageError {
  const use = `Use ${actions.slice(0, -1).join(", ")} or ${actions.at(-1)}`;
  return new UsageError(
    action === undefined ? `No ${what} given. ${use}` : `Unknown ${what} ${JSON.stringify(action)}. ${use}`,
  );
}

export function commandHelp(command: Command, settings: Settings = SETTINGS): string {
  const groups = flagGroups(command, settings);
  // A single table, to align the columns of all groups.
  const lines = table([...groups.values()].flat());
  const sections = [...groups].flatMap(([title, rows]) => [`${title}:`, ...lines.splice(0, rows.length), ""]);
  return [
    `Usage: ${typed(command.usage)}`,
    "",
    `${command.summary}.`,
    "",
    ...command.examples === undefined ? [] : ["Examples:", ...command.examples.map((line) => `  ${line}`), ""],
    ...sections,
    ...command.notes === undefined ? [] : [...command.notes, ""],
    "Exit codes:",
    ...command.exits.map((line) => `  ${line}`),
    "",
  ].join("\n");
}

/** Flags by heading; those for connecting come last. */
function flagGroups(command: Command, settings: Settings): Map<string, [string, string][]> {
  const groups = new Map<string, [string, string][]>([["Flags", []]]);
  const add = (group: string, row: [string, string]): void => {
    const rows = groups.get(group) ?? [];
    groups.set(group, rows);
    rows.push(row);
  };
  for (const { flag, help, group = "Flags" } of command.flags) add(group, [flag, help]);
  const connection: [string, string][] = [];
  for (const name of command.settings) {
    const setting = settings[name];
    if (setting === undefined) continue;
    const { names, type, client = false } = setting;
    const row: [string, string] = [`--${names.flag} ${type.metavar}`, `${helpOf(setting)} [${names.env}]`];
    if (client && name !== "config") connection.push(row);
    else add("Flags", row);
  }
  add("Flags", ["--help", "show this help"]);
  if (connection.length > 0) groups.set("Connection flags", connection);
  return groups;
}

export function programHelp(commands: readonly Command[]): string {
  return [
    `Usage: ${typed("COMMAND [FLAGS]")}`,
    "",
    "A local inference daemon: keeps a language model loaded and serves every program on this machine.",
    "",
    "Commands:",
    ...table(commands.map((command): [string, string] => [typedName(command.name), command.summary])),
    "",
    `"${typed("COMMAND --help")}" lists a command's flags. Without a command it is "${
      typedName(commands[0]?.name ?? "")
    }".`,
    "",
    "Flags:",
    ...table([["--help", "show this help"], ["--version", "show the version"]]),
    "",
  ].join("\n");
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  return aligned(rows).map((line) => `  ${line}`);
}
