/**
 * The `config_id`: a fingerprint of the resolved configuration, by which a dispatch client recognises a daemon that
 * would answer as expected. `served_config.ts` provides the resolved values.
 *
 * A `config_id` is `1-` and 64 lower-case hex digits: the SHA-256 of the configuration as canonical JSON (RFC 8785):
 * keys sorted by UTF-16 code units at every depth, no whitespace. The `1` is the version of these rules. Unset values
 * are `null`. The configuration is
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
 * with the backends in order of priority. A local model also has the settings that change its answers, if set, by their
 * keys in the configuration file: `sampling`, `system`, `cache_type_k`, `cache_type_v`, `rope_freq_base`,
 * `rope_freq_scale`, `rope_scaling`, and the content of files: `chat_template` as `sha256:<hex>`, `lora` as a list of
 * `{ "sha256", "scale" }`. `n_ctx` is the context the model was loaded with, and `model` the hash of its file, whatever
 * its name; for split models see `modelHash` in `models/file/shards.ts`. `protocol` is the wire protocol's version.
 * Nothing else is included: no draft model, as answers
 * do not depend on it, no paths, sockets, namespace, keys, threads, accelerator, log or timeouts, so that the same
 * configuration has the same `config_id` on every machine.
 */
import canonicalize from "canonicalize";
import type { MockBackendConfig, OpenAiBackendConfig, Pooling } from "./options.ts";

const RULES_VERSION = 1;
const PROTOCOL_VERSION = 1;

/** The properties of a backend that affect answers. */
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
    /** Absent: the model's default. */
    readonly pooling?: Pooling | undefined;
    /** Settings that change answers, if set, by key. */
    readonly settings?: Readonly<Record<string, unknown>>;
  }
  | Pick<OpenAiBackendConfig, "kind" | "name" | "baseUrl" | "model">
  | Pick<MockBackendConfig, "kind" | "name" | "script">;

/** The properties of a configuration that affect answers. */
export interface IdentifiedConfig {
  /** In order of priority. */
  readonly backends: readonly IdentifiedBackend[];
  readonly parallel: number;
  readonly queueDepth: number;
}

/** @returns The `config_id`. */
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
