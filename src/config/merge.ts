/**
 * Puts values together: what was given, behind it the file, behind both the defaults. Whether they agree with each other
 * is `resolve.ts`'s.
 */
import { isAbsolute, resolve } from "@std/path";
import type { LoadedConfig } from "./load.ts";
import { SETTINGS, type SettingValues, type SettledValues } from "./schema.ts";
import type { Places, Setting, Settings } from "./setting/setting.ts";

/**
 * What was given, and behind it what the file says of the same things.
 *
 * @param given What flags and environment say.
 * @param config What the configuration file says.
 * @param table The settings.
 * @returns Both together; what the file says of models and backends is not among it.
 */
export function withFile(
  given: SettingValues,
  config: LoadedConfig | undefined,
  table: Settings = SETTINGS,
): SettingValues {
  if (config === undefined) return given;
  const said = Object.entries(table).flatMap(([name, setting]) => {
    const value = setting.ofBackend ? undefined : fileValue(setting, config.content, config);
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(said), ...given };
}

/** What a part of the file says of a setting, paths as paths; `undefined`: nothing. */
export function fileValue(
  { names: { key }, type }: Setting,
  content: unknown,
  config: LoadedConfig | undefined,
): unknown {
  const value = key === undefined ? undefined : valueAt(content, key);
  if (value === undefined || config === undefined) return value;
  if (type.placed !== undefined) return type.placed(value, (path) => config.place(path));
  return typeof value === "string" && type.isPath?.(value) ? config.place(value) : value;
}

/** What was given and what the file says, behind it the defaults; paths absolute. */
export function withDefaults(values: SettingValues, places: Places, table: Settings = SETTINGS): SettledValues {
  const given: Readonly<Record<string, unknown>> = values;
  const settled = Object.entries(table).flatMap(([name, setting]) => {
    const standard = setting.ofBackend ? undefined : setting.default;
    const value = given[name] ?? (typeof standard === "function" ? standard(places) : standard);
    return value === undefined ? [] : [[name, absolute(setting, value)]];
  });
  // Each value is of its row's type: from `parse`, from the file's schema, or the default.
  return Object.fromEntries(settled) as SettledValues;
}

/** What was given, paths absolute: it means the same when it is read again from another working directory. */
export function absoluteValues(given: SettingValues, table: Settings = SETTINGS): SettingValues {
  const settled = Object.entries(given).map(([name, value]) => {
    const setting = table[name];
    return [name, setting === undefined ? value : absolute(setting, value)];
  });
  // Each value is still of its row's type.
  return Object.fromEntries(settled) as SettingValues;
}

/** A value that means the same in every working directory. */
export function absolute({ type }: Setting, value: unknown): unknown {
  return typeof value === "string" && type.isPath?.(value) ? resolve(value) : value;
}

/**
 * Whether a value is a path that only means something together with the working directory.
 *
 * @param values What was given.
 * @param table The settings.
 * @returns Whether there is one; to resolve it costs the permission to read the working directory.
 */
export function hasRelativePath(values: SettingValues, table: Settings = SETTINGS): boolean {
  return Object.entries(values).some(([name, value]) =>
    typeof value === "string" && table[name]?.type.isPath?.(value) && !isAbsolute(value)
  );
}

/**
 * Values as flags again, for another process with another working directory.
 *
 * @param values What was given.
 * @param table The settings.
 * @returns `--flag=value`, every path absolute.
 */
export function settingFlags(values: SettingValues, table: Settings = SETTINGS): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const setting = table[name];
    if (setting?.names.flag === undefined) return [];
    const said = absolute(setting, value);
    return [`--${setting.names.flag}=${setting.type.print?.(said) ?? said}`];
  });
}

/** What is at `listen.tcp` or `backends[0].model.name`; `undefined`: nothing. */
export function valueAt(content: unknown, key: string): unknown {
  let found = content;
  for (const part of key.split(/[.[\]]+/).filter((part) => part !== "")) {
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[part] : undefined;
  }
  return found;
}
