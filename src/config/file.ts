/**
 * The configuration file: which keys it has, and what each allows. Whatever is wrong with it is one line that names the
 * file, the key and what is allowed. What the keys mean together with flags and environment is `resolve.ts`'s. The schema
 * library is loaded with this room, so only where there is a file.
 *
 * What `meta` says is for editors: descriptions, and in the words of JSON Schema what checks in code refuse.
 */
import { z } from "zod";
import {
  DEFAULT_EMBED_PORT,
  DEFAULT_INFER_PORT,
  DEFAULT_RERANK_PORT,
  DEFAULT_TCP_HOSTNAME,
  DEFAULT_V2_PORT,
} from "@inferd/client/paths";
import { DEFAULT_NAMESPACE } from "@inferd/client/protocol";
import { BUILT_INS } from "../models/built_in.ts";
import {
  ACCELERATOR_SETTINGS,
  DEFAULT_DRAIN_TIMEOUT_SECS,
  DEFAULT_PARALLEL,
  DEFAULT_QUEUE_DEPTH,
  DEFAULT_READY_TIMEOUT_SECS,
  DEFAULT_REMOTE_TIMEOUT_SECS,
  type Pooling,
} from "./options.ts";
import { mockScript, sha256, tcpAddress, UsageError } from "./settings.ts";

const text = z.string().min(1).refine((value) => !value.includes("\0"), "must not contain NUL characters");
const whole = (least: number, most: number): z.ZodInt => z.int().min(least).max(most);

/** A value with the rule of the flag of the same meaning. */
function parsedBy<T>(parse: (text: string) => T): z.ZodPipe<z.ZodString, z.ZodTransform<T, string>> {
  return z.string().transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
      return z.NEVER;
    }
  });
}

/** A path, told to editors. */
const path = (description: string): z.ZodOptional<z.ZodString> =>
  text.meta({ description: `${description}. Relative paths start at this file's folder, "~/" at home` }).optional();

const contextTokens = whole(16, 10_000_000)
  .meta({
    description: "Tokens one request may use, prompt and answer together; without it the model's own up to 8192",
  });
const gpuLayers = whole(0, 10_000)
  .meta({ description: "Layers on the accelerator; without it as many as it takes" });
const threads = whole(1, 512)
  .meta({ description: "Compute threads; without it what this process may use and the model gains from" });
const accelerator = z.enum(ACCELERATOR_SETTINGS)
  .meta({ description: "What computes; auto is the GPU if there is one that can be used", default: "auto" });
const libraryDir = path("Folder of native libraries of your own build; without it those of npm");
const parallel = whole(1, 256);
const hash = parsedBy(sha256)
  .meta({
    description: "The SHA-256 the model must have, as inferd pull and inferd import print it",
    pattern: "^[0-9a-fA-F]{64}$",
  });

const httpUrl = (local: boolean): z.ZodString =>
  z.string().refine((value) => {
    if (!URL.canParse(value)) return false;
    const { protocol, hostname } = new URL(value);
    return protocol === "https:" || (protocol === "http:" && (local || isLoopback(hostname)));
  }, local ? "must be an http or https URL" : "must be an https URL");

/** What Deno's HTTP client can go through. */
const PROXY_PROTOCOLS: ReadonlySet<string> = new Set(["http:", "https:", "socks5:", "socks5h:"]);

const proxyUrl = z.string().refine((value) => {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname } = new URL(value);
  return PROXY_PROTOCOLS.has(protocol) && hostname !== "";
}, "must be an http, https, socks5 or socks5h URL");

const model = z.strictObject({
  path: path("A GGUF file"),
  name: z.string().max(128).regex(
    /^(?!\.)(?!.*\.\.)[A-Za-z0-9._-]+$/,
    "must be letters, digits, dots, dashes and underscores, without a leading dot",
  ).meta({
    description: "A model of the store, or a built-in one",
    examples: Object.keys(BUILT_INS),
  }).optional(),
  sha256: hash.optional(),
  source_url: httpUrl(false).meta({
    description: "Where the model is downloaded from, if the store does not have it: https, or http from this machine",
    format: "uri",
    pattern: "^https?://",
  }).optional(),
  size_bytes: whole(1, Number.MAX_SAFE_INTEGER).meta({ description: "How long the file must be" }).optional(),
  license: text.meta({ description: "The model's license, kept with it" }).optional(),
}).meta({
  description: 'A local model: "path" of a file, or "name" of a model in the store or a built-in one',
  // The library's own word for this would be a union, whose messages name no key.
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

const pooling = z.enum(["mean", "cls", "last", "rank"] satisfies Pooling[])
  .meta({ description: "How the vectors of a text's tokens become one; without it as the model says" });
const backendName = text.meta({ description: "What messages and clients call it; no two backends have the same" });

const llamacpp = z.strictObject({
  kind: z.literal("llamacpp").meta({ description: "A local model in an engine process of its own" }),
  name: backendName,
  model,
  n_ctx: contextTokens.optional(),
  n_gpu_layers: gpuLayers.optional(),
  parallel: parallel.meta({ description: 'Requests decoded together; without it "parallel" of the whole' }).optional(),
  threads: threads.optional(),
  accelerator: accelerator.optional(),
  library_dir: libraryDir,
  embed: z.boolean().meta({ description: "Make vectors, also with a model that could generate" }).optional(),
  pooling: pooling.optional(),
  warm: z.array(text).max(64).meta({ description: "Prompts whose beginnings are kept decoded" }).optional(),
});

const openai = z.strictObject({
  kind: z.literal("openai-compat").meta({ description: "A server elsewhere that speaks OpenAI's protocol" }),
  name: backendName,
  base_url: httpUrl(true).meta({ description: 'Up to and with "/v1"', format: "uri", pattern: "^https?://" }),
  model: text.meta({ description: "What the server calls the model" }),
  api_key_env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable")
    .meta({ description: "The environment variable the key is in; without it none is sent" }).optional(),
  timeout_secs: z.number().positive().max(86_400).meta({
    description: "Seconds to connect, and between two pieces of an answer",
    default: DEFAULT_REMOTE_TIMEOUT_SECS,
  }).optional(),
  proxy: proxyUrl.meta({
    description: "The proxy to go through, unless the server is on this machine or has a private address; without it " +
      "none, whatever the environment says",
    format: "uri",
    pattern: "^(https?|socks5h?)://",
    examples: ["http://proxy.example:3128"],
  }).optional(),
});

const mock = z.strictObject({
  kind: z.literal("mock").meta({ description: "Computes nothing and follows a script, for tests" }),
  name: backendName,
  script: z.record(z.string(), z.unknown()).transform((value, context) => {
    try {
      return mockScript(JSON.stringify(value));
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
      return z.NEVER;
    }
  }).meta({ description: "How it behaves" }).optional(),
});

const backends = z.array(z.discriminatedUnion("kind", [llamacpp, openai, mock])).min(1).superRefine((list, context) => {
  const names = new Set<string>();
  list.forEach(({ name }, index) => {
    if (names.has(name)) {
      context.addIssue({ code: "custom", path: [index, "name"], message: `is "${name}" like another backend's` });
    }
    names.add(name);
  });
});

/** A surface's TCP endpoint. */
const tcp = (
  what: string,
  port: number,
): z.ZodOptional<z.ZodPipe<z.ZodString, z.ZodTransform<ReturnType<ReturnType<typeof tcpAddress>>, string>>> =>
  parsedBy(tcpAddress(port)).meta({
    description: `${what} on TCP, too: HOST:PORT, HOST or PORT; without it off`,
    examples: [`${DEFAULT_TCP_HOSTNAME}:${port}`],
  }).optional();

const listen = z.strictObject({
  uds: path("Socket of generation; without it infer.sock in the runtime directory"),
  tcp: tcp("Generation", DEFAULT_INFER_PORT),
  v2_addr: path("Socket of generation v2; without it infer.v2.sock next to infer.sock"),
  v2_tcp: tcp("Generation v2", DEFAULT_V2_PORT),
  embed_addr: path("Socket of embeddings; without it infer.embed.sock next to infer.sock"),
  embed_tcp: tcp("Embeddings", DEFAULT_EMBED_PORT),
  rerank_addr: path("Socket of rerank; without it infer.rerank.sock next to infer.sock"),
  rerank_tcp: tcp("Rerank", DEFAULT_RERANK_PORT),
  rpc_addr: path("Socket of dispatch; without it rpc.sock in the runtime directory"),
}).meta({ description: "Where the surfaces are" });

/** The whole file. */
export const CONFIG_FILE = z.strictObject({
  $schema: z.string().meta({ description: "Where editors find this schema" }).optional(),
  auto_pull: z.boolean().meta({ description: "Download missing models at boot", default: true }).optional(),
  models_home: path("Where models are kept; without it the folder of the user's data"),
  model: model.optional(),
  model_autoselect: z.array(z.strictObject({
    model,
    min_memory_bytes: whole(0, Number.MAX_SAFE_INTEGER).meta({
      description: "Memory the machine must have; without it any",
    })
      .optional(),
  })).min(1).meta({ description: "Models of which the first that the machine has the memory for is taken" }).optional(),
  backends: backends.meta({ description: "What answers; their order is their priority" }).optional(),
  listen: listen.optional(),
  admin_addr: path("Admin socket; without it admin.sock in the runtime directory"),
  group: text.meta({ description: "Group that owns the inference sockets, by name or number" }).optional(),
  namespace: text.meta({ description: "What dispatch requests have to name", default: DEFAULT_NAMESPACE }).optional(),
  api_key_file: path("A file with the key that TCP clients must present; the key itself never stands here"),
  lock: path("Lock file; without it inferd.lock in the runtime directory"),
  parallel: parallel.meta({ description: "Requests served together", default: DEFAULT_PARALLEL }).optional(),
  queue_depth: whole(0, 100_000)
    .meta({ description: "Requests that may wait behind them", default: DEFAULT_QUEUE_DEPTH }).optional(),
  n_ctx: contextTokens.optional(),
  n_gpu_layers: gpuLayers.optional(),
  threads: threads.optional(),
  accelerator: accelerator.optional(),
  library_dir: libraryDir,
  ready_timeout_secs: whole(1, 86_400).meta({
    description: "Seconds that backends may load; downloading and hashing do not count",
    default: DEFAULT_READY_TIMEOUT_SECS,
  }).optional(),
  drain_timeout_secs: whole(0, 86_400).meta({
    description: "Seconds running requests get to finish on a signal",
    default: DEFAULT_DRAIN_TIMEOUT_SECS,
  }).optional(),
  log_dir: path("Folder of the activity log; without it ~/.inferd/logs"),
  log_level: z.enum(["debug", "info", "warn", "error"])
    .meta({ description: "How much is logged", default: "info" }).optional(),
}).meta({
  title: "Configuration of inferd",
  description: "The file of --config and INFERD_CONFIG, by default ~/.inferd/config.json",
  not: {
    anyOf: [
      { required: ["model", "backends"] },
      { required: ["model", "model_autoselect"] },
      { required: ["backends", "model_autoselect"] },
    ],
  },
}).superRefine((value, context) => {
  const given = (["backends", "model", "model_autoselect"] as const).filter((key) => value[key] !== undefined);
  for (const key of given.slice(1)) {
    context.addIssue({ code: "custom", path: [key], message: `does not go with "${given[0]}", give one of them` });
  }
});

/** What the file says, every key checked. */
export type ConfigFile = z.output<typeof CONFIG_FILE>;

/** A backend as the file names it. */
export type FileBackend = NonNullable<ConfigFile["backends"]>[number];

/** A model as the file names it. */
export type FileModel = NonNullable<ConfigFile["model"]>;

/**
 * Check what a configuration file says.
 *
 * @param source The file's text.
 * @param path What messages call the file.
 * @returns What it says.
 * @throws {UsageError} If it is not JSON, or a key or value is not allowed.
 */
export function parseConfigFile(source: string, path: string): ConfigFile {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot use "${path}": it is not JSON (${reason.replace(/\s+/g, " ")})`);
  }
  const result = CONFIG_FILE.safeParse(value, { error: (issue) => messageOf(issue) });
  if (result.success) return result.data;
  const { issues } = result.error;
  const first = issues[0] as z.core.$ZodIssue;
  const key = first.code === "unrecognized_keys" ? [...first.path, first.keys[0] as string] : first.path;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw new UsageError(`Cannot use "${path}": ${keyOf(key)}: ${first.message}${more}`);
}

/** `backends[1].n_ctx`. */
function keyOf(path: readonly PropertyKey[]): string {
  const key = path.map((part) => typeof part === "number" ? `[${part}]` : `.${String(part)}`).join("");
  return key.replace(/^\./, "") || "the file";
}

/** Messages in the words of the flags; where nothing is better, the library's own. */
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
      return `must be one of "llamacpp", "openai-compat", "mock"`;
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

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}
