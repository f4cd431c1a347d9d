/** Merges values: flags and environment over the file over defaults. `resolve.ts` checks for conflicts. */
import { isAbsolute, resolve } from "node:path";
import type { LoadedConfig } from "./load.ts";
import { SETTINGS, type SettingValues, type SettledValues } from "./schema.ts";
import type { Places, Setting, Settings } from "./setting/setting.ts";

/** Merge values with those of the configuration file, without its models and backends. */
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

/** Value of a setting in a part of the file, paths resolved; `undefined` if not set. */
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

/** Merges values with the defaults; paths become absolute. */
export function withDefaults(values: SettingValues, places: Places, table: Settings = SETTINGS): SettledValues {
  const given: Readonly<Record<string, unknown>> = values;
  const settled = Object.entries(table).flatMap(([name, setting]) => {
    const standard = setting.ofBackend ? undefined : setting.default;
    const value = given[name] ?? (typeof standard === "function" ? standard(places) : standard);
    return value === undefined ? [] : [[name, absolute(setting, value)]];
  });
  // Each value has its row's type: from `parse`, the file's schema, or the default.
  return Object.fromEntries(settled) as SettledValues;
}

/** Makes paths absolute, so that the values mean the same in another working directory. */
export function absoluteValues(given: SettingValues, table: Settings = SETTINGS): SettingValues {
  const settled = Object.entries(given).map(([name, value]) => {
    const setting = table[name];
    return [name, setting === undefined ? value : absolute(setting, value)];
  });
  // Each value still has its row's type.
  return Object.fromEntries(settled) as SettingValues;
}

/** Makes a path absolute; other values are unchanged. */
export function absolute({ type }: Setting, value: unknown): unknown {
  return typeof value === "string" && type.isPath?.(value) ? resolve(value) : value;
}

/** @returns Whether there is one. Resolving it takes the permission to read the working directory. */
export function hasRelativePath(values: SettingValues, table: Settings = SETTINGS): boolean {
  return Object.entries(values).some(([name, value]) =>
    typeof value === "string" && table[name]?.type.isPath?.(value) && !isAbsolute(value)
  );
}

/** Convert values back to flags with absolute paths, for a process with another working directory. */
export function settingFlags(values: SettingValues, table: Settings = SETTINGS): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const setting = table[name];
    if (setting?.names.flag === undefined) return [];
    const said = absolute(setting, value);
    return [`--${setting.names.flag}=${setting.type.print?.(said) ?? said}`];
  });
}

/** Value at a key such as `listen.tcp` or `backends[0].model.name`; `undefined` if not set. */
export function valueAt(content: unknown, key: string): unknown {
  let found = content;
  for (const part of key.split(/[.[\]]+/).filter((part) => part !== "")) {
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[part] : undefined;
  }
  return found;
}
