/**
 * Value types of settings: allowed values, parsing, and schema in the configuration file. Does not load the schema
 * library: callers pass it in.
 */
import type { z } from "zod";
import type { LoraAdapter } from "../../inference/model_settings.ts";
import { DEFAULT_TCP_HOSTNAME, parseTcpAddress, type TcpAddress } from "@inferd/client/paths";
import { errorText } from "../../log/error_text.ts";
import { isModelName, NAME, NAME_MAX_BYTES } from "../../models/store/layout.ts";

export interface TextRule {
  readonly what: string;
  readonly fits: (text: string) => boolean;
}

export interface ValueType<T> {
  /** @throws {Error} If it is invalid; the message says what is allowed. */
  readonly parse: (text: string) => T;
  /** Inverse of `parse`; default `String`. */
  print?(value: T): string;
  /** Displayed form; default: the value. */
  shown?(value: T): unknown;
  /** Placeholder in help texts. */
  readonly metavar: string;
  /** Schema in the file; `meta` is for editors. */
  readonly schema: (zod: typeof z) => z.ZodType;
  readonly choices?: readonly string[];
  /** Resolves paths inside the value, if it contains any. */
  placed?(value: T, place: (path: string) => string): T;
  /** Whether a value is a path; default: never. */
  readonly isPath?: (text: string) => boolean;
}

/** Maximum of settings in seconds. */
export const SECONDS_OF_A_DAY = 86_400;

export function whole(least: number, most: number, metavar = "N"): ValueType<number> {
  return {
    metavar,
    schema: (zod) => zod.int().min(least).max(most),
    parse: (text) => {
      const value = Number(text);
      if (/^\d+$/.test(text) && value >= least && value <= most) return value;
      throw new Error(`must be a whole number from ${least} to ${most}`);
    },
  };
}

/** A number above one bound and up to another. */
export function number(above: number, most: number): ValueType<number> {
  return {
    metavar: "X",
    schema: (zod) => zod.number().gt(above).max(most),
    parse: (text) => {
      const value = Number(text);
      if (/^-?\d+(\.\d+)?$/.test(text) && value > above && value <= most) return value;
      throw new Error(`must be a number above ${above} and up to ${most}`);
    },
  };
}

export function boolean(): ValueType<boolean> {
  const choices = ["true", "false"] as const;
  const { metavar, parse } = choice(...choices);
  return { metavar, choices, schema: (zod) => zod.boolean(), parse: (text) => parse(text) === "true" };
}

export function choice<const T extends string>(...choices: readonly T[]): ValueType<T> {
  return {
    metavar: choices.join("|"),
    schema: (zod) => zod.enum(choices),
    choices,
    parse: (text) => {
      const found = choices.find((choice) => choice === text);
      if (found === undefined) throw new Error(`must be one of ${choices.join(", ")}`);
      return found;
    },
  };
}

export function text(metavar: string, what: string): ValueType<string> {
  return {
    metavar,
    schema: textSchema,
    parse: (text) => {
      if (text.includes("\0")) throw new Error(`must be ${what} without NUL characters`);
      return text;
    },
  };
}

/** A path; relative to the file's folder in the file, otherwise to the working directory. */
export function path(metavar = "PATH"): ValueType<string> {
  return { ...text(metavar, "a path"), isPath: () => true };
}

/** A model in a flag or variable: a file path or a name. */
export function modelReference(): ValueType<string> {
  return { ...text("FILE|NAME", "a path or a name"), isPath: isModelFile };
}

export function modelName(examples: readonly string[]): ValueType<string> {
  const what = "letters, digits, dots, dashes and underscores, without a leading dot";
  return {
    ...checked({ what, fits: isModelName }, { metavar: "NAME" }),
    schema: (zod) => zod.string().max(NAME_MAX_BYTES).regex(NAME, `must be ${what}`).meta({ examples }),
  };
}

/** Whether a text is a model file's path: it is not a valid name, or such a file exists. */
export function isModelFile(text: string): boolean {
  if (!isModelName(text)) return true;
  try {
    return Deno.statSync(text).isFile;
  } catch {
    return false; // missing or not permitted: not a file for this process to read
  }
}

/** A list of texts, comma-separated on the command line. */
export function texts(metavar: string, most: number, each: TextRule = ANY_TEXT): ValueType<readonly string[]> {
  return {
    metavar,
    schema: (zod) => zod.array(textSchema(zod).refine(each.fits, `must be ${each.what}`)).max(most),
    parse: (text) => {
      const found = partsOf(text);
      if (found.length > most) throw new Error(`must have at most ${most} entries`);
      if (!found.every((part) => each.fits(part))) throw new Error(`must be ${each.what}`);
      return found;
    },
  };
}

const ANY_TEXT: TextRule = {
  what: "texts without NUL characters, separated by commas",
  fits: (text) => !text.includes("\0"),
};

/** A map of texts, on the command line as `A=B,C=D`. */
export function textMap(metavar: string): ValueType<Readonly<Record<string, string>>> {
  return {
    metavar,
    schema: (zod) => zod.record(textSchema(zod), textSchema(zod)),
    print: (map) => Object.entries(map).map((entry) => entry.join("=")).join(","),
    parse: (text) =>
      Object.fromEntries(
        partsOf(text).map((part) => {
          const [, name, value] = /^([^=]+)=(.+)$/s.exec(part) ?? [];
          if (name === undefined || value === undefined) throw new Error(`must be ${metavar}`);
          return [name, value];
        }),
      ),
  };
}

function partsOf(text: string): readonly string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** A TCP address; host and port default to loopback and `port`. */
export function tcpAddress(port: number): ValueType<TcpAddress> {
  const parse = (text: string): TcpAddress => {
    try {
      return parseTcpAddress(text, port);
    } catch {
      throw new Error(`must be HOST:PORT, for example ${DEFAULT_TCP_HOSTNAME}:${port} or [::1]:${port}`);
    }
  };
  return {
    metavar: "HOST:PORT",
    parse,
    print: tcpText,
    shown: tcpText,
    schema: (zod) => parsedBy(zod, zod.string(), parse),
  };
}

/** An address as it is typed. */
export function tcpText({ hostname, port }: TcpAddress): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Applies a flag's parser to a value of the file. */
function parsedBy<T>(zod: typeof z, schema: z.ZodType<T>, parse: (value: T) => unknown): z.ZodType {
  return schema.transform((value, context) => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue(errorText(error));
      return zod.NEVER;
    }
  });
}

/** A non-empty text. */
export function textSchema(zod: typeof z): z.ZodString {
  return zod.string().min(1).refine((value) => !value.includes("\0"), "must not contain NUL characters");
}

/** A text with a rule; `words` describe it to editors. */
function checked(
  { what, fits }: TextRule,
  { metavar, ...words }: {
    readonly metavar: string;
    readonly pattern?: string;
    readonly format?: string;
    readonly examples?: readonly string[];
  },
): ValueType<string> {
  const parse = (text: string): string => {
    if (fits(text)) return text;
    throw new Error(`must be ${what}`);
  };
  return { metavar, parse, schema: (zod) => parsedBy(zod, zod.string(), parse).meta(words) };
}

/** A SHA-256 in hex, converted to lower case. */
export function sha256(): ValueType<string> {
  const pattern = "^[0-9a-fA-F]{64}$";
  const parse = (text: string): string => {
    if (!new RegExp(pattern).test(text)) throw new Error("must be 64 hexadecimal digits");
    return text.toLowerCase();
  };
  return { metavar: "HEX", parse, schema: (zod) => parsedBy(zod, zod.string(), parse).meta({ pattern }) };
}

export function variableName(): ValueType<string> {
  const pattern = "^[A-Za-z_][A-Za-z0-9_]*$";
  const fits = (text: string): boolean => new RegExp(pattern).test(text);
  return checked({ what: "the name of an environment variable", fits }, { metavar: "NAME", pattern });
}

export function isWebUrl({ protocol }: URL): boolean {
  return protocol === "https:" || protocol === "http:";
}

/** A URL that `fits` accepts. */
export function url(
  what: string,
  { fits, ...words }: {
    readonly pattern: string;
    readonly fits: (url: URL) => boolean;
    readonly examples?: readonly string[];
  },
): ValueType<string> {
  const rule = { what, fits: (text: string): boolean => URL.canParse(text) && fits(new URL(text)) };
  return { ...checked(rule, { metavar: "URL", format: "uri", ...words }), shown: withoutPassword };
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  if (parsed.username === "" && parsed.password === "" && parsed.search === "") return url;
  if (parsed.username !== "") parsed.username = "***";
  if (parsed.password !== "") parsed.password = "***";
  for (const name of [...parsed.searchParams.keys()]) parsed.searchParams.set(name, "***");
  return parsed.href;
}

/** A JSON object that `parse` validates. */
export function jsonObject<T>(parse: (text: string) => T): ValueType<T> {
  return {
    metavar: "JSON",
    parse,
    print: JSON.stringify,
    schema: (zod) => parsedBy(zod, zod.record(zod.string(), zod.unknown()), (value) => parse(JSON.stringify(value))),
  };
}

/** Non-negative numbers, comma-separated on the command line. */
export function numbers(most: number): ValueType<readonly number[]> {
  const fits = (list: readonly number[]): boolean =>
    list.length > 0 && list.length <= most && list.every((one) => one >= 0) && list.some((one) => one > 0);
  return {
    metavar: "X,...",
    schema: (zod) => zod.array(zod.number().min(0)).min(1).max(most).refine(fits, "must have a number above 0"),
    parse: (text) => {
      const list = partsOf(text).map(Number);
      if (!fits(list)) throw new Error(`must be 1 to ${most} numbers of at least 0, separated by commas`);
      return list;
    },
  };
}

export function loraAdapters(most: number): ValueType<readonly LoraAdapter[]> {
  return {
    metavar: "JSON",
    schema: (zod) =>
      zod.array(zod.strictObject({
        path: textSchema(zod).meta({ description: "GGUF file of the adapter" }),
        scale: zod.number().min(-10).max(10).default(1).meta({ description: "How strongly it is applied" }),
      })).max(most),
    parse: () => {
      throw new Error("can be set in the configuration file only");
    },
    placed: (list, place) => list.map(({ path, scale }) => ({ path: place(path), scale })),
    shown: (list) => list.map(({ path, scale }) => `${path} (${scale})`).join(", "),
  };
}
