/** Type of a setting, and its help text. The settings are in `schema.ts`. */
import type { ValueType } from "./value_types.ts";

export interface Places {
  readonly runtimeDir: string;
  /** Folder of the generation socket. */
  readonly socketDir: string;
  /** `~/.inferd`, or the runtime directory without a home. */
  readonly userDir: string;
  readonly modelsHome: string | undefined;
}

export interface Setting<T = unknown> {
  readonly names: {
    /** Key in the configuration file; a dot denotes a nested object. Absent: not in the file. */
    readonly key?: string;
    /** Flag without dashes; absent: only in the file. */
    readonly flag?: string;
    readonly env?: string;
  };
  readonly type: ValueType<T>;
  /** A few lower-case words, without the default. */
  readonly help: string;
  readonly default?: T | ((places: Places) => T | undefined);
  /** Describes a default that is not a plain value. */
  readonly otherwise?: string;
  /** Value of the flag if given without one; absent: a value is required. */
  readonly bare?: string;
  /** Never shown and not in the file; only whether it is set is reported. */
  readonly secret?: boolean;
  /** For a secret: the setting that names its file. */
  readonly keptIn?: string;
  /** Belongs to each backend, not to the daemon; flags override the file. */
  readonly ofBackend?: boolean;
  /** Copied unchanged to `DaemonOptions` under the row's name. */
  readonly plain?: boolean;
  /** Also accepted by commands that talk to a daemon. */
  readonly client?: boolean;
  readonly required?: boolean;
  /** Variables that determine the default, by precedence. */
  readonly variables?: (platform: string) => readonly string[];
  /** For a backend's setting: the daemon's setting that is its default. */
  readonly sameAs?: string;
  /** Displayed form in `inferd config`; default: that of its type. */
  shown?(value: T | undefined): unknown;
}

export type Settings = Readonly<Record<string, Setting>>;

/** All setting tables; tests pass tables with additional rows. */
export interface Tables {
  readonly settings: Settings;
  /** By kind: settings of a backend in the file, besides `kind`, `name` and a local model. */
  readonly backends: Readonly<Record<string, { readonly help: string; readonly settings: Settings }>>;
}

export type ValueOf<Type> = Type extends ValueType<infer T> ? T : never;

/** Type-checks a row and preserves its literal type. */
export function setting<const Row extends Setting>(row: Row & Setting<ValueOf<Row["type"]>>): Row {
  return row;
}

/** A row of a setting that has a key in the file, but neither flag nor variable. */
export function inFile<const Key extends string, const Row extends Omit<Setting, "names">>(
  key: Key,
  row: Row & Omit<Setting<ValueOf<Row["type"]>>, "names">,
): Row & { readonly names: { readonly key: Key } } {
  return { names: { key }, ...row };
}

export function helpOf(setting: Setting): string {
  const otherwise = defaultText(setting);
  if (otherwise === undefined) return setting.help;
  const bare = setting.bare === undefined ? "" : `; without a value ${setting.bare}`;
  return `${setting.help} (default: ${otherwise}${bare})`;
}

export function descriptionOf({ help, otherwise, type }: Setting): string {
  const text = help.charAt(0).toUpperCase() + help.slice(1);
  return [
    otherwise === undefined ? text : `${text}; by default ${otherwise}`,
    ...type.isPath ? [`Relative paths start at this file's folder, "~/" at home`] : [],
  ].join(". ");
}

/** The default, unless it is computed. */
export function plainDefault<T>({ default: standard }: Setting<T>): T | undefined {
  return typeof standard === "function" ? undefined : standard;
}

function defaultText(setting: Setting): string | undefined {
  const standard = plainDefault(setting);
  return setting.otherwise ?? (standard === undefined ? undefined : String(standard));
}

/** Settings of a table that have a flag. */
export function flagged<Table extends Settings>(table: Table): readonly (keyof Table & string)[] {
  return Object.keys(table).filter((name) => table[name]?.names.flag !== undefined);
}
