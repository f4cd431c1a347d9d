/**
 * Parses command line and environment: flags override environment variables, and an invalid value is reported on one
 * line with what was given and what is allowed.
 */
import { isWithin, type NumberLimits } from "@inferd/client/protocol";
import { parseArgs } from "@std/cli/parse-args";
import { errorText } from "../log/error_text.ts";
import { type SettingName, SETTINGS, type SettingValues } from "./schema.ts";
import type { Settings } from "./setting/setting.ts";
import { didYouMean } from "./setting/closest.ts";
import { UsageError } from "./setting/usage_error.ts";

export type Env = (name: string) => string | undefined;

/** The variables among these that are set, for another process. */
export function givenVariables(env: Env, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.map((name) => [name, env(name)] as const).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    ),
  );
}

/** Flags of a command. */
export interface CommandFlags {
  readonly settings: readonly SettingName[];
  readonly strings?: readonly string[];
  /** Its own flags with a value that may be repeated. */
  readonly lists?: readonly string[];
  /** Its own flags without a value. */
  readonly booleans?: readonly string[];
  /** Maximum number of positional arguments; absent: unlimited. */
  readonly words?: number;
}

export interface ParsedFlags {
  readonly values: SettingValues;
  /** Settings given by flag rather than by environment variable. */
  readonly fromFlags: ReadonlySet<SettingName>;
  readonly strings: Readonly<Record<string, string>>;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly booleans: ReadonlySet<string>;
  readonly rest: readonly string[];
}

/** @throws {UsageError} If a flag is unknown, lacks its value, is given twice, or a value is out of range. */
export function parseFlags(
  args: readonly string[],
  env: Env,
  command: CommandFlags,
  table: Settings = SETTINGS,
): ParsedFlags {
  const booleans = ["help", ...command.booleans ?? []];
  const own = command.strings ?? [];
  const ownLists = command.lists ?? [];
  const settings = command.settings.flatMap((name) => {
    const setting = table[name];
    return setting?.names.flag === undefined ? [] : [{ ...setting, name, ...setting.names, flag: setting.names.flag }];
  });
  const takesValue = [...settings.map(({ flag }) => flag), ...own, ...ownLists];
  const parsed = parseArgs(joinNegative(args, takesValue), {
    boolean: booleans,
    string: ["_", ...takesValue],
    collect: takesValue,
    alias: { help: "h" },
    "--": true,
    unknown: (arg, key) => {
      if (key === undefined || arg === "-") return true;
      const [given = ""] = arg.split("=", 1);
      const meant = meantFlag(given, [...takesValue, ...booleans]);
      throw new UsageError(`Unknown flag "${given}"${meant || '; "--help" lists what is allowed'}`);
    },
  });
  // Names known only to the caller have no types.
  const found: Readonly<Record<string, unknown>> = parsed;
  for (const arg of args.slice(0, args.indexOf("--") >>> 0)) {
    const flag = booleans.find((flag) => arg.startsWith(`--${flag}=`));
    if (flag !== undefined) throw new UsageError(`Flag --${flag} takes no value, got ${JSON.stringify(shorten(arg))}`);
  }
  const given = (flag: string): string | undefined => {
    const given = [found[flag] ?? []].flat().map(String);
    if (given.length > 1) throw new UsageError(`Flag --${flag} was given ${given.length} times, once is allowed`);
    return given[0];
  };

  const values: Record<string, unknown> = {};
  const fromFlags = new Set<SettingName>();
  for (const { name, flag, env: variable, type, bare, secret } of settings) {
    const onLine = given(flag);
    // Shells and service files set empty variables for "not set".
    const text = onLine === "" ? bare : onLine ?? ((variable && env(variable)) || undefined);
    const source = onLine === undefined ? variable : `--${flag}`;
    if (onLine === "" && text === undefined) throw new UsageError(`${source} needs a value: ${type.metavar}`);
    if (text === undefined) continue;
    if (onLine !== undefined) fromFlags.add(name);
    try {
      values[name] = type.parse(text);
    } catch (error) {
      const shown = secret ? "" : `, got ${JSON.stringify(shorten(text))}`;
      throw new UsageError(`${source} ${errorText(error)}${shown}`);
    }
  }
  const rest = [...parsed._.map(String), ...parsed["--"] ?? []];
  const extra = rest[command.words ?? rest.length];
  if (extra !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(shorten(extra))}`);
  const strings: Record<string, string> = {};
  for (const flag of own) {
    const text = given(flag);
    if (text === undefined) continue;
    if (text === "") throw new UsageError(`--${flag} needs a value`);
    strings[flag] = text;
  }
  const lists: Record<string, readonly string[]> = {};
  for (const flag of ownLists) {
    lists[flag] = [parsed[flag] ?? []].flat().map(String);
    if (lists[flag].includes("")) throw new UsageError(`--${flag} needs a value`);
  }
  return {
    values: values as SettingValues,
    fromFlags,
    strings,
    lists,
    booleans: new Set(booleans.filter((flag) => found[flag] === true)),
    rest,
  };
}

/** `--n-ctx -5` as `--n-ctx=-5`: a number is no flag. */
function joinNegative(args: readonly string[], takesValue: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const [index, arg] of args.entries()) {
    const before = joined.at(-1) ?? "";
    const isValue = /^-\d/.test(arg) && takesValue.some((flag) => before === `--${flag}`) &&
      !args.slice(0, index).includes("--");
    if (isValue) joined[joined.length - 1] = `${before}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

/** `; did you mean "--model"?`, or nothing; of a single letter, the first flag that begins with it. */
function meantFlag(given: string, flags: readonly string[]): string {
  const name = given.replace(/^-+/, "");
  const first = name.length === 1 ? flags.find((flag) => flag.startsWith(name)) : undefined;
  return first === undefined ? didYouMean(name, flags, "--") : `; did you mean "--${first}"?`;
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** @throws {UsageError} If it is not a number or out of range. */
export function numberFlag(
  flags: ParsedFlags,
  flag: string,
  limits: NumberLimits,
): number | undefined {
  const text = flags.strings[flag];
  if (text === undefined) return undefined;
  const value = Number(text);
  // Rejects other JavaScript number syntax: "0x10", "1e2", " 3".
  if (!/^-?\d+(\.\d+)?$/.test(text) || !isWithin(value, limits)) {
    const kind = limits.whole ? "a whole number" : "a number";
    const within = `${limits.aboveMin ? "" : "from "}${limitsText(limits)}`;
    throw new UsageError(`--${flag} must be ${kind} ${within}, got ${JSON.stringify(text)}`);
  }
  return value;
}

/** For help: `0 to 2`, or `above 0, at most 1`. */
export function limitsText({ min, max, aboveMin }: NumberLimits): string {
  return aboveMin ? `above ${min}, at most ${max}` : `${min} to ${max}`;
}
