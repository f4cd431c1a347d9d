/**
 * What every command is, and the help text made from it.
 */
import { type Env, type ParsedFlags, parseFlags } from "../config/flags.ts";
import { type SettingName, SETTINGS } from "../config/schema.ts";
import { helpOf, type Settings } from "../config/setting/setting.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { typed, typedName } from "../config/setting/typed_command.ts";
import type { Machine } from "../config/resolve.ts";

/** There is no daemon to talk to; the program says so and exits with 2. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** What a command gets from the process; nothing else reads arguments or environment. */
export interface CommandContext {
  readonly machine: Machine;
  /** Every command there is, the default one first. */
  commands(): Promise<readonly Command[]>;
}

/** A flag of a command's own, for its help. */
export interface OwnFlag {
  /** With a placeholder for its value, e.g. `--max-tokens N`. */
  readonly flag: string;
  readonly help: string;
  /** What its value may be, where that is a few words. */
  readonly choices?: readonly string[];
  /** It may be given more than once. */
  readonly repeats?: boolean;
  /** What it is about, where help has a heading of its own for that. */
  readonly group?: string;
}

/** One command of `inferd`. */
export interface Command {
  readonly name: string;
  /** After `inferd`. */
  readonly usage: string;
  readonly summary: string;
  /** What its first argument may be, where that is a few words. */
  readonly words?: readonly string[];
  /** Settings it takes, shown with their variables. */
  readonly settings: readonly SettingName[];
  readonly flags: readonly OwnFlag[];
  /** What one does with it, for its help: command lines without `inferd`, or longer ones with {@linkcode typed}. */
  readonly examples?: readonly string[];
  /** What else is to be known, for its help: lines. */
  readonly notes?: readonly string[];
  /** Its first argument may be a file. */
  readonly takesFile?: boolean;
  /** Exit codes, one line each. */
  readonly exits: readonly string[];
  /**
   * Run it.
   *
   * @param args What follows the command's name.
   * @param context The process.
   * @returns The exit code.
   * @throws {UsageError} If the command line is wrong.
   */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}

/**
 * Parse a command's own flags, its settings and the environment behind them.
 *
 * @param command The command.
 * @param args What follows its name.
 * @param env The environment.
 * @param words How many words beside flags it takes at most; absent: any number.
 * @returns The values, parsed.
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

/** Whether there is more than a name. */
function takesValue(flag: string): boolean {
  return flag.includes(" ");
}

/**
 * The error for a command's first argument that is none of its actions.
 *
 * @param action What was given.
 * @param actions What there is.
 * @param what What they are called.
 */
export function unknownAction(action: string | undefined, actions: readonly string[], what = "action"): UsageError {
  const use = `Use ${actions.slice(0, -1).join(", ")} or ${actions.at(-1)}`;
  return new UsageError(
    action === undefined ? `No ${what} given. ${use}` : `Unknown ${what} ${JSON.stringify(action)}. ${use}`,
  );
}

/**
 * The help text of one command.
 *
 * @param command The command.
 * @param settings The settings.
 * @returns The text, with its last newline.
 */
export function commandHelp(command: Command, settings: Settings = SETTINGS): string {
  const groups = flagGroups(command, settings);
  // One table, so that its columns are.
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

/** The flags by what they are about; those for where the daemon is come last. */
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

/**
 * The help text of the program.
 *
 * @param commands Every command, the default one first.
 * @returns The text, with its last newline.
 */
export function programHelp(commands: readonly Command[]): string {
  return [
    `Usage: ${typed("COMMAND [FLAGS]")}`,
    "",
    "A local inference daemon: keeps a language model loaded and serves every program on this machine.",
    "",
    "Commands:",
    ...table(commands.map((command): [string, string] => [typedName(command.name), command.summary])),
    "",
    `"${typed("COMMAND --help")}" lists a command's flags.`,
    "",
    "Flags:",
    ...table([["--help", "show this help"], ["--version", "show the version"]]),
    "",
  ].join("\n");
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
