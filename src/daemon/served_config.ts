/**
 * The configuration in effect and its `config_id`: waits until every model is loaded and hashed, and tracks backends
 * that restart with a different context. `config/config_id.ts` defines what counts.
 */
import { configId, type IdentifiedBackend } from "../config/config_id.ts";
import type { BackendConfig, LlamaBackendConfig } from "../config/options.ts";
import { defined } from "../inference/objects.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { BUILT_INS, isBuiltIn } from "../models/built_in.ts";
import { type FileToHash, ModelHashes } from "../models/file/model_hashes.ts";

export interface ServedConfigOptions {
  /** In order of priority, as configured. */
  readonly backends: readonly BackendConfig[];
  readonly parallel: number;
  readonly queueDepth: number;
  readonly log: ActivityLog;
  /** Called when `identified` changes. */
  readonly onChange: () => void;
  /** Default: files are hashed without a cache. */
  readonly hashes?: ModelHashes;
}

/** Computes the `config_id` of the configuration in effect. */
export class ServedConfig implements AsyncDisposable {
  readonly #options: ServedConfigOptions;
  readonly #hashes: ModelHashes;
  /** Context size by backend. */
  readonly #contexts = new Map<string, number>();
  /** Loaded files by backend. */
  readonly #files = new Map<string, readonly FileToHash[]>();
  /** Last known hash by backend. */
  readonly #sha256 = new Map<string, string>();
  readonly #stop = new AbortController();
  #id: string | undefined;
  #identified = false;
  #identifying: Promise<void> = Promise.resolve();
  /** Change counter, so that only the latest result is used. */
  #change = 0;

  constructor(options: ServedConfigOptions) {
    this.#options = options;
    this.#hashes = options.hashes ?? new ModelHashes();
    for (const backend of options.backends) {
      const fixed = backend.kind === "llamacpp" ? fixedSha256(backend) : undefined;
      if (fixed !== undefined) this.#sha256.set(backend.name, fixed);
    }
    this.#changed();
  }

  /** Undefined while unknown. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether `id` is known, or can be computed without reading files. */
  get identified(): boolean {
    return this.#identified;
  }

  /** Hash of a backend's model file, once known. */
  modelSha256(backend: string): string | undefined {
    return this.#sha256.get(backend);
  }

  /** @param files Its loaded model files, if known. */
  ready(backend: string, contextTokens: number, files?: readonly FileToHash[]): void {
    const config = this.#options.backends.find(({ name }) => name === backend);
    // Contexts of other backends are not known here.
    if (config?.kind !== "llamacpp") return;
    const same = this.#contexts.get(backend) === contextTokens;
    this.#contexts.set(backend, contextTokens);
    if (files !== undefined) this.#files.set(backend, files);
    // A file without a configured hash may have been replaced before it was reloaded.
    if (!same || fixedSha256(config) === undefined) this.#changed();
  }

  /** Records the context size a sleeping backend will be loaded with; an actual one takes precedence. */
  asleep(backend: string, contextTokens: number): void {
    if (!this.#contexts.has(backend)) this.ready(backend, contextTokens);
  }

  /** Resolves when everything that needs no file access is known. */
  async settled(): Promise<void> {
    const reading = this.#options.backends.some((backend) =>
      backend.kind === "llamacpp" && fixedSha256(backend) === undefined
    );
    if (!reading) await this.#identifying;
  }

  /** Resolves when `id` is known or cannot be, reading files if necessary. */
  known(): Promise<void> {
    return this.#identifying;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#identifying;
  }

  #changed(): void {
    const change = ++this.#change;
    this.#id = undefined;
    const before = this.#identifying;
    this.#identifying = before.then(() => this.#identify(change));
  }

  #become(identified: boolean): void {
    if (this.#identified === identified) return;
    this.#identified = identified;
    this.#options.onChange();
  }

  async #identify(change: number): Promise<void> {
    const { log, parallel, queueDepth } = this.#options;
    try {
      const backends: IdentifiedBackend[] = [];
      for (const backend of this.#options.backends) {
        const identified = await this.#describe(backend);
        if (identified === undefined || change !== this.#change) return;
        backends.push(identified);
      }
      const id = await configId({ backends, parallel, queueDepth });
      if (change !== this.#change || this.#stop.signal.aborted) return;
      this.#id = id;
      log.info("config_identified", { config_id: id });
      this.#become(true);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#become(false);
      log.error("config_not_identified", { reason: errorText(error) });
    }
  }

  /** Undefined while the model is not loaded. */
  async #describe(backend: BackendConfig): Promise<IdentifiedBackend | undefined> {
    if (backend.kind !== "llamacpp") return backend;
    const { kind, name, parallel = this.#options.parallel, embed = false, pooling } = backend;
    const contextTokens = this.#contexts.get(name);
    if (contextTokens === undefined) return undefined;
    const modelSha256 = await this.#modelSha256(backend);
    return { kind, name, contextTokens, parallel, embed, pooling, modelSha256, settings: await settingsOf(backend) };
  }

  async #modelSha256(backend: LlamaBackendConfig): Promise<string> {
    const { name, modelPath } = backend;
    const fixed = fixedSha256(backend);
    if (fixed !== undefined) return fixed;
    if (modelPath === undefined) throw new Error(`Backend "${name}" has no model`);
    const sha256 = await this.#hashes.sha256(this.#files.get(name) ?? [{ path: modelPath }], {
      signal: this.#stop.signal,
      onWork: () => this.#become(false),
    });
    this.#sha256.set(name, sha256);
    return sha256;
  }
}

/** Settings of a local model that change its answers, if set. */
async function settingsOf(backend: LlamaBackendConfig): Promise<Record<string, unknown>> {
  const { templateText, lora = [], loraSha256 = [] } = backend;
  return defined({
    sampling: backend.sampling,
    system: backend.system,
    cache_type_k: backend.cacheTypeK,
    cache_type_v: backend.cacheTypeV,
    rope_freq_base: backend.ropeFreqBase,
    rope_freq_scale: backend.ropeFreqScale,
    rope_scaling: backend.ropeScaling,
    chat_template: templateText === undefined ? undefined : `sha256:${await sha256Of(templateText)}`,
    lora: lora.length === 0 ? undefined : lora.map(({ scale }, index) => ({ sha256: loraSha256[index], scale })),
  });
}

async function sha256Of(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}

/** A configured hash was verified when the model was loaded, and built-in models have fixed hashes. */
function fixedSha256({ modelName, modelPath, modelSha256 }: LlamaBackendConfig): string | undefined {
  if (modelSha256 !== undefined) return modelSha256;
  return modelPath === undefined && isBuiltIn(modelName) ? BUILT_INS[modelName].sha256 : undefined;
}
