/** Type of a setting, and its help text. The settings are in `schema.ts`. */
import type { ValueType } from "./value_types.ts";

/** Default folders. */
export interface Places {
  readonly runtimeDir: string;
  /** Folder of the generation socket. */
  readonly socketDir: string;
  /** `~/.inferd`, or the runtime directory without a home. */
  readonly userDir: string;
  /** The user's model store, if known. */
  readonly modelsHome: string | undefined;
}

/** One setting. */
export interface Setting<T = unknown> {
  readonly names: {
    /** Key in the configuration file; a dot denotes a nested object. Absent: not in the file. */
    readonly key?: string;
    /** Flag without dashes; absent: only in the file. */
    readonly flag?: string;
    /** Environment variable. */
    readonly env?: string;
  };
  readonly type: ValueType<T>;
  /** A few lower-case words, without the default. */
  readonly help: string;
  /** Default value. */
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
  /** Required in the file. */
  readonly required?: boolean;
  /** Variables that determine the default, by precedence. */
  readonly variables?: (platform: string) => readonly string[];
  /** For a backend's setting: the daemon's setting that is its default. */
  readonly sameAs?: string;
  /** Displayed form in `inferd config`; default: that of its type. */
  shown?(value: T | undefined): unknown;
}

/** A table of settings. */
export type Settings = Readonly<Record<string, Setting>>;

/** All setting tables; tests pass tables with additional rows. */
export interface Tables {
  readonly settings: Settings;
  /** By kind: settings of a backend in the file, besides `kind`, `name` and a local model. */
  readonly backends: Readonly<Record<string, { readonly help: string; readonly settings: Settings }>>;
}

/** TypeScript type of a value type. */
export type ValueOf<Type> = Type extends ValueType<infer T> ? T : never;

/** Type-checks a row and preserves its literal type. */
export function setting<const Row extends Setting>(row: Row & Setting<ValueOf<Row["type"]>>): Row {
  return row;
}

/** Help text of a setting. */
export function helpOf(setting: Setting): string {
  const otherwise = defaultText(setting);
  if (otherwise === undefined) return setting.help;
  const bare = setting.bare === undefined ? "" : `; without a value ${setting.bare}`;
  return `${setting.help} (default: ${otherwise}${bare})`;
}

/** Description of a setting of the file, for editors. */
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
