/**
 * The configuration file: its schema, derived from the tables, and the parts that are not single settings: models and
 * the list of backends. Any error is one line with the file, the key and what is allowed. `resolve.ts` combines the
 * file with flags and environment. Imported only if there is a file, since it loads the schema library.
 *
 * `meta` is for editors: descriptions, and JSON Schema keywords for rules that are checked in code.
 */
import { z } from "zod";
import { errorText } from "../log/error_text.ts";
import { BACKENDS, MODEL_SETTINGS, TABLES } from "./backends/backend_schema.ts";
import { GROUPS, SETTINGS } from "./schema.ts";
import {
  descriptionOf,
  plainDefault,
  type Setting,
  type Settings,
  type Tables,
  type ValueOf,
} from "./setting/setting.ts";
import { UsageError } from "./setting/usage_error.ts";
import { textSchema } from "./setting/value_types.ts";

const { names: CONFIG } = SETTINGS.config;

function settingSchema(setting: Setting): z.ZodType {
  const standard = setting.otherwise === undefined ? plainDefault(setting) : undefined;
  const schema = setting.type.schema(z).meta({
    description: descriptionOf(setting),
    ...(standard === undefined ? {} : { default: standard }),
  });
  return setting.required ? schema : schema.optional();
}

/** Keys of a table; those with a dot become nested objects. */
function keysOf(table: Settings): Record<string, z.ZodType> {
  const keyed = Object.values(table).flatMap((setting) => {
    const [name, inner] = setting.names.key?.split(".") ?? [];
    return name === undefined ? [] : [{ name, inner, schema: settingSchema(setting) }];
  });
  const keys = [...Map.groupBy(keyed, ({ name }) => name)].map(([name, list]): [string, z.ZodType] => {
    const inner = list.flatMap(({ inner, schema }) => inner === undefined ? [] : [[inner, schema] as const]);
    const group = z.strictObject(Object.fromEntries(inner)).meta({ description: GROUPS[name] ?? name }).optional();
    return [name, list.find(({ inner }) => inner === undefined)?.schema ?? group];
  });
  return Object.fromEntries(keys);
}

function modelSchema(description: string): z.ZodType<FileModel> {
  return (z.strictObject(keysOf(MODEL_SETTINGS)) as unknown as z.ZodType<FileModel>).meta({
    description,
    // Written by hand: the schema library's union has error messages without keys.
    oneOf: [
      { required: ["path"], properties: { name: false, source_url: false, size_bytes: false, license: false } },
      {
        required: ["name"],
        properties: { path: false },
        dependencies: { size_bytes: ["source_url"], license: ["source_url"] },
      },
    ],
  }).superRefine((value, context) => {
    if ((value.path === undefined) === (value.name === undefined)) {
      context.addIssue('must have either "path" or "name"');
    } else if (value.path !== undefined) {
      for (const key of ["source_url", "size_bytes", "license"] as const) {
        if (value[key] !== undefined) {
          context.addIssue({ code: "custom", path: [key], message: 'does not go with "path"' });
        }
      }
    } else if (value.source_url === undefined) {
      for (const key of ["size_bytes", "license"] as const) {
        if (value[key] !== undefined) {
          context.addIssue({ code: "custom", path: [key], message: 'goes with "source_url" only' });
        }
      }
    }
  });
}

const MODEL = modelSchema('A local model: "path" of a file, or "name" of a model in the store or a built-in one');
const DRAFT = modelSchema("A smaller model with the same vocabulary, which guesses tokens for the model to verify");

const AUTOSELECTED = z.strictObject({
  model: MODEL,
  min_memory_bytes: z.int().min(0).max(Number.MAX_SAFE_INTEGER)
    .meta({ description: "Memory the machine must have; by default any" }).optional(),
});

/** Building one takes milliseconds, and a reload needs it again. */
const schemas = new WeakMap<Tables, z.ZodType>();

export function configFileSchema(tables: Tables = TABLES): z.ZodType {
  let schema = schemas.get(tables);
  if (schema === undefined) schemas.set(tables, schema = schemaOf(tables));
  return schema;
}

function schemaOf({ settings, backends }: Tables): z.ZodType {
  const kinds = Object.entries(backends).map(([kind, { help, settings }]) =>
    z.strictObject({
      kind: z.literal(kind).meta({ description: help }),
      name: textSchema(z).meta({ description: "What messages and clients call it; no two backends have the same" }),
      ...(kind === "llamacpp" ? { model: MODEL, draft: DRAFT.optional() } : {}),
      ...keysOf(settings),
    })
  );
  return z.strictObject({
    $schema: z.string().meta({ description: "Where editors find this schema" }).optional(),
    model: MODEL.optional(),
    draft: DRAFT.optional(),
    model_autoselect: z.array(AUTOSELECTED).min(1).meta({
      description: "Models of which the first that the machine has the memory for is taken",
    }).optional(),
    backends: z.array(z.discriminatedUnion("kind", kinds as [typeof kinds[number]])).min(1)
      .superRefine(checkNames)
      .meta({ description: "Backends that answer requests; their order is their priority" }).optional(),
    ...keysOf(settings),
  }).meta({
    title: "Configuration of inferd",
    description: `The file of --${CONFIG.flag} and ${CONFIG.env}, by default ~/.inferd/config.json`,
    not: {
      anyOf: [
        { required: ["model", "backends"] },
        { required: ["model", "model_autoselect"] },
        { required: ["backends", "model_autoselect"] },
        { required: ["draft", "backends"] },
        { required: ["draft", "model_autoselect"] },
      ],
    },
    dependencies: { draft: ["model"] },
  }).superRefine((value, context) => {
    const given = (["backends", "model", "model_autoselect"] as const).filter((key) => value[key] !== undefined);
    for (const key of given.slice(1)) {
      context.addIssue({ code: "custom", path: [key], message: `does not go with "${given[0]}", give one of them` });
    }
    if (value.draft !== undefined && value.model === undefined) {
      context.addIssue({ code: "custom", path: ["draft"], message: 'goes with "model" only, or inside of a backend' });
    }
  });
}

function checkNames(list: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  const names = new Set<string>();
  for (const [index, { name }] of list.entries()) {
    if (names.has(name)) {
      context.addIssue({ code: "custom", path: [index, "name"], message: `is "${name}" like another backend's` });
    }
    names.add(name);
  }
}

export type FileModel = {
  readonly [Key in keyof typeof MODEL_SETTINGS]?: ValueOf<(typeof MODEL_SETTINGS)[Key]["type"]>;
};

/** A backend in the file; settings by key. */
export type FileBackend =
  & { readonly name: string; readonly [key: string]: unknown }
  & (
    | { readonly kind: "llamacpp"; readonly model: FileModel; readonly draft?: FileModel }
    | { readonly kind: Exclude<keyof typeof BACKENDS, "llamacpp"> }
  );

/** The validated file; settings by key. */
export interface ConfigFile {
  readonly model?: FileModel;
  readonly draft?: FileModel;
  readonly model_autoselect?: readonly { readonly model: FileModel; readonly min_memory_bytes?: number }[];
  readonly backends?: readonly FileBackend[];
  readonly [key: string]: unknown;
}

/** @throws {UsageError} If it is not JSON, or a key or value is not allowed. */
export function parseConfigFile(source: string, path: string, tables: Tables = TABLES): ConfigFile {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    const reason = errorText(error);
    throw new UsageError(`Cannot use "${path}": it is not JSON (${reason.replace(/\s+/g, " ")})`);
  }
  const result = configFileSchema(tables).safeParse(value, { error: (issue) => messageOf(issue) });
  if (result.success) return result.data as ConfigFile;
  const { issues } = result.error;
  const first = issues[0] as z.core.$ZodIssue;
  const key = first.code === "unrecognized_keys" ? [...first.path, first.keys[0] as string] : first.path;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw new UsageError(`Cannot use "${path}": ${keyOf(key)}: ${first.message}${more}`);
}

/** Formats a key: `backends[1].n_ctx`. */
function keyOf(path: readonly PropertyKey[]): string {
  const key = path.map((part) => typeof part === "number" ? `[${part}]` : `.${String(part)}`).join("");
  return key.replace(/^\./, "") || "the file";
}

/** Error messages in the style of the flags' messages; `undefined` keeps the library's. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "unrecognized_keys":
      return "there is no such key";
    case "invalid_type":
      return `must be ${article(String(issue.expected))}, got ${shown(issue.input)}`;
    case "invalid_value":
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}, got ${
        shown(issue.input)
      }`;
    case "invalid_union":
      return `must be one of ${Object.keys(BACKENDS).map((kind) => JSON.stringify(kind)).join(", ")}`;
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "must not be empty"
        : `must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}, got ${shown(issue.input)}`;
    case "too_big":
      return issue.origin === "string" || issue.origin === "array"
        ? `must have at most ${issue.maximum} ${issue.origin === "string" ? "characters" : "entries"}`
        : `must be at most ${issue.maximum}, got ${shown(issue.input)}`;
    default:
      return undefined;
  }
}

function article(type: string): string {
  if (type === "int") return "a whole number";
  return `${/^[aeiou]/.test(type) ? "an" : "a"} ${type}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
