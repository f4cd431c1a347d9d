// deno-lint-ignore-file
// The real package infers the result from the options; here its general shape is enough.
export interface Args {
  [key: string]: any;
  _: (string | number)[];
  "--"?: string[];
}
export interface ParseOptions {
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  boolean?: boolean | string | readonly string[];
  default?: Record<string, unknown>;
  string?: string | readonly string[];
  collect?: string | readonly string[];
  negatable?: string | readonly string[];
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
export declare function parseArgs(args: readonly string[], options?: ParseOptions): Args;
