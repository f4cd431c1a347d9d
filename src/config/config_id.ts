/**
 * The `config_id`: a fingerprint of the resolved configuration, by which a client of dispatch knows whether a daemon
 * would answer as the one it means. Where the resolved values come from is `served_config.ts`'s.
 *
 * A `config_id` is `1-` and 64 lower-case hex digits: the SHA-256 of the configuration as canonical JSON (RFC 8785): keys in the
 * order of their UTF-16 units, at every depth, no spaces. The `1` is the version of these rules. What is not set is
 * `null`. The configuration is
 *
 * ```json
 * {
 *   "backends": [
 *     {
 *       "embed": false,
 *       "kind": "llamacpp",
 *       "model": "sha256:<64 hex digits of the model's content>",
 *       "n_ctx": 8192,
 *       "name": "llamacpp",
 *       "parallel": 4,
 *       "pooling": null
 *     },
 *     { "base_url": "https://host/v1", "kind": "openai-compat", "model": "m", "name": "remote" },
 *     { "kind": "mock", "name": "mock", "script": {} }
 *   ],
 *   "limits": { "parallel": 4, "queue_depth": 10 },
 *   "protocol": 1
 * }
 * ```
 *
 * with the backends in order of priority. Where they are given, a local model also has the settings that change its
 * answers, by their keys in the configuration file: `sampling`, `system`, `cache_type_k`, `cache_type_v`,
 * `rope_freq_base`, `rope_freq_scale`, `rope_scaling`, and for files their content: `chat_template` as `sha256:<hex>`,
 * `lora` as a list of `{ "sha256", "scale" }`. `n_ctx` is what the model was really loaded with, and `model` what its file
 * hashes to, whatever it is called; of several files see `modelHash` in `models/file/shards.ts`. `protocol` is the version of the wire. Nothing else counts: no paths, sockets,
 * namespace, keys, threads, accelerator, log or timeouts, so that the same configuration has the same `config_id` on
 * every machine.
 */
import canonicalize from "canonicalize";
import type { MockScript, Pooling } from "./options.ts";

/** The version of the rules by which a `config_id` is made. */
const RULES_VERSION = 1;
/** The version of the wire that a `config_id` speaks for. */
const PROTOCOL_VERSION = 1;

/** A backend, as far as it decides how a request is answered. */
export type IdentifiedBackend =
  | {
    readonly kind: "llamacpp";
    readonly name: string;
    /** 64 lower-case hex digits. */
    readonly modelSha256: string;
    /** As resolved when the model was loaded. */
    readonly contextTokens: number;
    readonly parallel: number;
    readonly embed: boolean;
    /** Absent: as the model says. */
    readonly pooling?: Pooling;
    /** Settings that change answers, as far as they are given, by their keys. */
    readonly settings?: Readonly<Record<string, unknown>>;
  }
  | { readonly kind: "openai-compat"; readonly name: string; readonly baseUrl: string; readonly model: string }
  | { readonly kind: "mock"; readonly name: string; readonly script: MockScript };

/** A configuration, as far as it has an identity. */
export interface IdentifiedConfig {
  /** In order of priority. */
  readonly backends: readonly IdentifiedBackend[];
  readonly parallel: number;
  readonly queueDepth: number;
}

/**
 * Fingerprint a configuration.
 *
 * @param config What counts.
 * @returns The `config_id`.
 */
export async function configId(config: IdentifiedConfig): Promise<string> {
  const text = canonicalize({
    protocol: PROTOCOL_VERSION,
    backends: config.backends.map(describe),
    limits: { parallel: config.parallel, queue_depth: config.queueDepth },
  });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `${RULES_VERSION}-${digest.toHex()}`;
}

function describe(backend: IdentifiedBackend): Record<string, unknown> {
  const { kind, name } = backend;
  switch (backend.kind) {
    case "llamacpp":
      return {
        kind,
        name,
        model: `sha256:${backend.modelSha256}`,
        n_ctx: backend.contextTokens,
        parallel: backend.parallel,
        embed: backend.embed,
        pooling: backend.pooling ?? null,
        ...backend.settings,
      };
    case "openai-compat":
      return { kind, name, base_url: backend.baseUrl, model: backend.model };
    case "mock":
      return { kind, name, script: backend.script };
  }
}
