/** Settings of backends and their models, which only the configuration file can set individually; see `schema.ts`. */
import { isLoopback } from "@inferd/client/protocol";
import { CACHE_TYPES, type FlashAttention, type RopeScaling } from "../../inference/model_settings.ts";
import type { Pooling } from "../../inference/request.ts";
import { BUILT_INS } from "../../models/built_in.ts";
import { IDLE_UNLOAD_SECS } from "../defaults.ts";
import { SETTINGS } from "../schema.ts";
import { SAMPLING_KEYS, samplingDefaults } from "./sampling_defaults.ts";
import { inFile, type Tables, type ValueOf } from "../setting/setting.ts";
import {
  boolean,
  choice,
  isWebUrl,
  jsonObject,
  loraAdapters,
  modelName,
  number,
  numbers,
  path,
  SECONDS_OF_A_DAY,
  sha256,
  text,
  texts,
  url,
  variableName,
  whole,
} from "../setting/value_types.ts";

/** Proxy protocols that Deno's HTTP client supports. */
const PROXY_PROTOCOLS: ReadonlySet<string> = new Set(["http:", "https:", "socks5:", "socks5h:"]);

/**
 * Kinds of backends, and the settings of each besides `kind`, `name` and a local model. A row that is also in
 * `SETTINGS` may be set for all backends at once, and is overridden by flags.
 */
export const BACKENDS = {
  llamacpp: {
    help: "A local model in an engine process of its own",
    settings: {
      contextTokens: SETTINGS.contextTokens,
      gpuLayers: SETTINGS.gpuLayers,
      threads: SETTINGS.threads,
      accelerator: SETTINGS.accelerator,
      libraryDir: SETTINGS.libraryDir,
      fastForward: SETTINGS.fastForward,
      nextTurn: SETTINGS.nextTurn,
      speculation: SETTINGS.speculation,
      parallel: inFile("parallel", {
        type: SETTINGS.parallel.type,
        sameAs: "parallel",
        otherwise: '"parallel" of the daemon',
        help: "requests decoded together",
      }),
      embed: inFile("embed", {
        type: boolean(),
        help: "embed texts, also with a model that could generate",
      }),
      pooling: inFile("pooling", {
        type: choice<Pooling>("mean", "cls", "last", "rank"),
        otherwise: "as the model says",
        help: "how the vectors of a text's tokens are pooled",
      }),
      load: inFile("load", {
        type: choice<"at_boot" | "on_demand">("at_boot", "on_demand"),
        otherwise: "at_boot",
        help: "when the model is loaded: before the daemon is ready, or by the first request for it",
      }),
      idleUnloadSecs: inFile("idle_unload_secs", {
        type: whole(0, SECONDS_OF_A_DAY, "SECONDS"),
        otherwise: `${IDLE_UNLOAD_SECS} for models that are loaded on demand, never for the first backend`,
        help: "after how many seconds without a request the model leaves memory; 0 is never",
      }),
      sampling: inFile("sampling", {
        type: jsonObject(samplingDefaults),
        otherwise: "as the model's file says",
        help: `what requests get that do not say it: ${SAMPLING_KEYS.join(", ")}`,
      }),
      system: inFile("system", {
        type: text("TEXT", "a text"),
        help: "system prompt of conversations that have none",
        // Prompts are private.
        shown: (prompt: string | undefined) => prompt === undefined ? undefined : `${prompt.length} characters`,
      }),
      chatTemplate: inFile("chat_template", {
        type: path("FILE"),
        otherwise: "the one in the model's file",
        help: "file with a Jinja chat template",
      }),
      cacheTypeK: inFile("cache_type_k", {
        type: choice(...CACHE_TYPES),
        otherwise: "f16",
        help: "type of the numbers in the K cache",
      }),
      cacheTypeV: inFile("cache_type_v", {
        type: choice(...CACHE_TYPES),
        otherwise: "f16",
        help: "type of the numbers in the V cache; others than f16 need flash attention",
      }),
      flashAttention: inFile("flash_attn", {
        type: choice<FlashAttention>("auto", "on", "off"),
        otherwise: "auto",
        help: "whether attention is computed in one fused step",
      }),
      lora: inFile("lora", {
        type: loraAdapters(16),
        help: "LoRA adapters to apply to the model",
      }),
      mmap: inFile("mmap", {
        type: boolean(),
        otherwise: "false if read weights get large pages and take at most half of the available memory, else true",
        help: "map the model's file into memory instead of reading it",
      }),
      mlock: inFile("mlock", {
        type: boolean(),
        otherwise: "false",
        help: "keep the weights from being swapped out",
      }),
      mainGpu: inFile("main_gpu", {
        type: whole(0, 15),
        otherwise: "the model is split among all GPUs",
        help: "the one GPU to use, counted from 0",
      }),
      tensorSplit: inFile("tensor_split", {
        type: numbers(16),
        otherwise: "by the memory of each",
        help: "share of the model for each GPU",
      }),
      ropeFreqBase: inFile("rope_freq_base", {
        type: number(0, 1e12),
        otherwise: "as the model says",
        help: "base frequency of the rotary position embedding",
      }),
      ropeFreqScale: inFile("rope_freq_scale", {
        type: number(0, 1e6),
        otherwise: "as the model says",
        help: "factor of the frequencies of the rotary position embedding",
      }),
      ropeScaling: inFile("rope_scaling", {
        type: choice<RopeScaling>("none", "linear", "yarn", "longrope"),
        otherwise: "as the model says",
        help: "how positions beyond the trained context are scaled",
      }),
      warm: inFile("warm", {
        type: texts("TEXT,...", 64),
        help: "prompts whose beginnings are kept decoded",
        // Prompts are private.
        shown: (prompts: readonly string[] | undefined) => prompts?.length ?? 0,
      }),
    },
  },
  "openai-compat": {
    help: "A server elsewhere that speaks OpenAI's protocol",
    settings: {
      baseUrl: inFile("base_url", {
        type: url("an http or https URL", { pattern: "^https?://", fits: isWebUrl }),
        help: 'address of the server, up to and with "/v1"',
        required: true,
      }),
      model: inFile("model", {
        type: text("NAME", "a name"),
        help: "what the server calls the model",
        required: true,
      }),
      apiKeyEnv: inFile("api_key_env", {
        type: variableName(),
        otherwise: "no key is sent",
        help: "environment variable that holds the key",
      }),
      timeoutSecs: inFile("timeout_secs", {
        type: number(0, SECONDS_OF_A_DAY),
        default: 300,
        help: "how many seconds connecting may take, and an answer may make no progress",
      }),
      proxy: inFile("proxy", {
        type: url("an http, https, socks5 or socks5h URL", {
          pattern: "^(https?|socks5h?)://",
          fits: ({ protocol, hostname }) => PROXY_PROTOCOLS.has(protocol) && hostname !== "",
          examples: ["http://proxy.example:3128"],
        }),
        otherwise: "none, whatever the environment says",
        help: "proxy to go through, unless the server is on this machine or has a private address",
      }),
    },
  },
  mock: {
    help: "Computes nothing and follows a script, for tests",
    settings: {
      script: inFile("script", {
        type: SETTINGS.mockScript.type,
        sameAs: "mockScript",
        default: {},
        help: "how it behaves",
      }),
    },
  },
} as const;

/** Keys of a local model in the file. `file.ts` checks their combinations. */
export const MODEL_SETTINGS = {
  path: inFile("path", { type: path("FILE"), help: "GGUF file" }),
  name: inFile("name", {
    type: modelName(Object.keys(BUILT_INS)),
    help: "model of the store, or a built-in one",
  }),
  sha256: inFile("sha256", {
    type: sha256(),
    help: "SHA-256 the model must have, as inferd pull and inferd import print it",
  }),
  source_url: inFile("source_url", {
    type: url("an https URL", {
      pattern: "^https?://",
      fits: (url) => url.protocol === "https:" || (isWebUrl(url) && isLoopback(url.hostname)),
    }),
    help: "where the model is downloaded from if the store does not have it: https, or http from this machine",
  }),
  size_bytes: inFile("size_bytes", {
    type: whole(1, Number.MAX_SAFE_INTEGER),
    help: "length of the file",
  }),
  license: inFile("license", {
    type: text("NAME", "a license"),
    help: "the model's license, kept with it",
  }),
} as const;

/** All tables that the rest is derived from. */
export const TABLES: Tables = { settings: SETTINGS, backends: BACKENDS };

export type BackendKind = keyof typeof BACKENDS;

type Rows<Kind extends BackendKind> = (typeof BACKENDS)[Kind]["settings"];

/** Rows with a certain value: required in the file, or with a default that is not the daemon's. */
type Certain<Row> = Row extends { readonly ofBackend: true } ? never
  : Row extends { readonly required: true } | { readonly default: unknown } ? Row
  : never;

type ValueOfRow<Row> = Row extends { readonly type: infer Type } ? ValueOf<Type> : never;

export type BackendValues<Kind extends BackendKind> =
  & {
    readonly [Name in keyof Rows<Kind> as Rows<Kind>[Name] extends Certain<Rows<Kind>[Name]> ? Name : never]:
      ValueOfRow<Rows<Kind>[Name]>;
  }
  & { readonly [Name in keyof Rows<Kind>]?: ValueOfRow<Rows<Kind>[Name]> };
