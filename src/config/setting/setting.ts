/** What a setting is, and what is said of it to people. The settings themselves are in `schema.ts`. */
import type { ValueType } from "./value_types.ts";

/** Where things are unless a setting moves them. */
export interface Places {
  readonly runtimeDir: string;
  /** The folder of the generation socket. */
  readonly socketDir: string;
  /** `~/.inferd`, or the runtime directory where there is no home. */
  readonly userDir: string;
  /** The user's model store; absent: no variable says where a user's data is. */
  readonly modelsHome: string | undefined;
}

/** One setting. */
export interface Setting<T = unknown> {
  readonly names: {
    /** In the configuration file, with a dot for an object within it; absent: not in the file. */
    readonly key?: string;
    /** Without dashes; absent: only in the file. */
    readonly flag?: string;
    /** The environment variable. */
    readonly env?: string;
  };
  readonly type: ValueType<T>;
  /** What it means: a few words, lower-case, without the default. */
  readonly help: string;
  /** What holds when nothing is said. */
  readonly default?: T | ((places: Places) => T | undefined);
  /** The same in words, where it is not a plain value. */
  readonly otherwise?: string;
  /** What the flag means without a value; absent: it needs one. */
  readonly bare?: string;
  /** Never shown, and not in the file; whether it is set may be told. */
  readonly secret?: boolean;
  /** Of a secret: the setting that names the file it is kept in. */
  readonly keptIn?: string;
  /** Belongs to each backend, not to the daemon: flags override what the file says of a backend. */
  readonly ofBackend?: boolean;
  /** The daemon takes it as it is: it is among `DaemonOptions` under the row's name. */
  readonly plain?: boolean;
  /** Commands that talk to a daemon take it, too. */
  readonly client?: boolean;
  /** In the file it must be given. */
  readonly required?: boolean;
  /** The variables that decide the default, the nearest first. */
  readonly variables?: (platform: string) => readonly string[];
  /** Of a backend's setting: the daemon's that holds where the file does not say it of the backend. */
  readonly sameAs?: string;
  /** What `inferd config` shows in its place; absent: what its type shows. */
  shown?(value: T | undefined): unknown;
}

/** A table of settings. */
export type Settings = Readonly<Record<string, Setting>>;

/** Everything there is to derive from; tests pass tables with one more row. */
export interface Tables {
  readonly settings: Settings;
  /** By kind: what the file may say of a backend, beside `kind`, `name` and a local model. */
  readonly backends: Readonly<Record<string, { readonly help: string; readonly settings: Settings }>>;
}

/** What values of a type are. */
export type ValueOf<Type> = Type extends ValueType<infer T> ? T : never;

/** Checks a row against its own type, and keeps what TypeScript knows of it. */
export function setting<const Row extends Setting>(row: Row & Setting<ValueOf<Row["type"]>>): Row {
  return row;
}

/** What help says of a setting. */
export function helpOf(setting: Setting): string {
  const otherwise = defaultText(setting);
  if (otherwise === undefined) return setting.help;
  const bare = setting.bare === undefined ? "" : `; without a value ${setting.bare}`;
  return `${setting.help} (default: ${otherwise}${bare})`;
}

/** What editors show of a setting of the file. */
export function descriptionOf({ help, otherwise, type }: Setting): string {
  const text = help.charAt(0).toUpperCase() + help.slice(1);
  return [
    otherwise === undefined ? text : `${text}; by default ${otherwise}`,
    ...type.isPath ? [`Relative paths start at this file's folder, "~/" at home`] : [],
  ].join(". ");
}

/** The default, where it is a value and not computed. */
export function plainDefault<T>({ default: standard }: Setting<T>): T | undefined {
  return typeof standard === "function" ? undefined : standard;
}

function defaultText(setting: Setting): string | undefined {
  const standard = plainDefault(setting);
  return setting.otherwise ?? (standard === undefined ? undefined : String(standard));
}

/** The settings of a table that have a flag. */
export function flagged<Table extends Settings>(table: Table): readonly (keyof Table & string)[] {
  return Object.keys(table).filter((name) => table[name]?.names.flag !== undefined);
}
