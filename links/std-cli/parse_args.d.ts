/** The names of flags, one or several. */
type Names = string | readonly string[];

type NamesOf<List> = List extends readonly (infer Name)[] ? Name : List;
/** The names that an option lists; none where it is not given. */
type Listed<Options, Option extends keyof ParseOptions> = Options extends { readonly [_ in Option]: infer List }
  ? Extract<NamesOf<List>, string>
  : never;
type Widened<Value> = Value extends boolean ? boolean : Value extends string ? string : Value;
type DefaultsOf<Options> = Options extends { readonly default: infer Defaults } ? Defaults : Record<never, never>;
type AliasesOf<Options, Name> = Options extends { readonly alias: infer Aliases }
  ? Name extends keyof Aliases ? Extract<NamesOf<Aliases[Name]>, string> : never
  : never;
type Flat<Type> = { [Name in keyof Type]: Type[Name] };

type Collected<Options, Flag extends "string" | "boolean", Value> = {
  [Name in Extract<Listed<Options, Flag>, Listed<Options, "collect">>]: Value[];
};
type StringFlags<Options> =
  & Collected<Options, "string", string>
  & { [Name in Exclude<Listed<Options, "string">, Listed<Options, "collect">>]?: string | Negated<Options, Name> };
type BooleanFlags<Options> =
  & Collected<Options, "boolean", boolean>
  & { [Name in Exclude<Listed<Options, "boolean">, Listed<Options, "collect">>]: boolean };
type Negated<Options, Name> = Name extends Listed<Options, "negatable"> ? false : never;

type Flags<Options> = StringFlags<Options> & BooleanFlags<Options>;
type WithDefaults<Given, Defaults> =
  & Omit<Given, keyof Defaults>
  & {
    [Name in keyof Defaults]: Name extends keyof Given ? Widened<Defaults[Name]> | NonNullable<Given[Name]> : unknown;
  };
type WithAliases<Given, Options> = { [Name in keyof Given as Name | AliasesOf<Options, Name>]: Given[Name] };
type Rest<Options> = Options extends { readonly "--": true } ? { "--": string[] } : Record<never, never>;

interface ParseOptions {
  readonly "--"?: boolean;
  readonly alias?: Readonly<Record<string, Names>>;
  readonly boolean?: Names;
  readonly default?: Readonly<Record<string, unknown>>;
  readonly string?: Names;
  readonly collect?: Names;
  readonly negatable?: Names;
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What is found: of flags that the options do not name, nothing is known. */
type Args<Options> = Flat<
  & Record<string, unknown>
  & WithAliases<WithDefaults<Flags<Options>, DefaultsOf<Options>>, Options>
  & { _: (string | number)[] }
  & Rest<Options>
>;

/** The real one infers the same from the same options. */
export declare function parseArgs<const Options extends ParseOptions>(
  args: readonly string[],
  options: Options,
): Args<Options>;

// Nothing else is exported: the real package's other types are not these.
export {};
