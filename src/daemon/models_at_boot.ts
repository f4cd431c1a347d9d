/** Models of the store at boot: fetches missing ones, and locks those that are served. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { DaemonOptions, LlamaBackendConfig, ModelPart } from "../config/options.ts";
import type { ActivityLog } from "../log/log.ts";
import type { FileIdentity } from "../models/file/model_file.ts";
import { modelHash } from "../models/file/shards.ts";
import { ModelStoreError, Store, type StoredBlob } from "../models/store.ts";
import { typed } from "../config/setting/typed_command.ts";

export interface AtBootOptions {
  readonly onPhase: (phase: LoadPhase) => void;
  readonly log: ActivityLog;
  readonly signal: AbortSignal;
}

type Located =
  & Required<Pick<LlamaBackendConfig, "modelPath" | "modelSha256" | "stored">>
  & Pick<LlamaBackendConfig, "parts">;

/** A model in the store, locked against removal until disposal. */
export interface HeldModel extends Disposable {
  readonly located: Located;
  /** Identities of the files if this call hashed them. */
  readonly verified: readonly FileIdentity[] | undefined;
}

/**
 * Ensure that a model is in the store, and lock it. Existing files are checked only by size; they are hashed when they
 * are loaded.
 *
 * @param config The backend; its model is in the store, or has a source.
 * @returns Releases the lock on disposal.
 * @throws {ModelStoreError} If it is missing and cannot be fetched.
 */
export async function holdModel(
  config: LlamaBackendConfig,
  options: Pick<DaemonOptions, "modelsHome" | "autoPull" | "huggingFace">,
  boot: AtBootOptions,
): Promise<HeldModel> {
  const { modelName: name, source } = config;
  if (options.modelsHome === undefined) throw new ModelStoreError("io", `There is no store for model "${name}"`);
  const store = new Store(options.modelsHome);
  if (source === undefined || !options.autoPull) {
    const located = await locate(store, config);
    const hashes = located.parts?.map(({ sha256 }) => sha256) ?? [located.modelSha256];
    const held = await store.hold(...hashes).catch(async (error) => {
      if (!(error instanceof ModelStoreError) || error.code !== "not_found") throw error;
      const found = (await store.find(name))?.sha256;
      throw source === undefined && found !== located.modelSha256
        ? anotherHash(name, located.modelSha256, found)
        : notThere(config, error);
    });
    return { located, verified: undefined, [Symbol.dispose]: () => held[Symbol.dispose]() };
  }
  const blob = await pullModel(store, config, options, boot);
  const held = await store.hold(...blob.parts.map(({ sha256 }) => sha256));
  const verified = blob.parts.map(({ verified }) => verified).filter((one) => one !== undefined);
  return {
    located: locatedBlobs(blob.parts, { modelSha256: blob.sha256, stored: storedBy(config) }),
    verified: verified.length === blob.parts.length ? verified : undefined,
    [Symbol.dispose]: () => held[Symbol.dispose](),
  };
}

/**
 * Locate a model that must be in the store; does not check that its files exist.
 *
 * @throws {ModelStoreError} `not_found`: the store has no such name.
 */
export async function locate(store: Store, config: LlamaBackendConfig): Promise<Located> {
  const { modelName: name, modelPath, modelSha256: sha256, parts } = config;
  const stored = storedBy(config);
  if (modelPath !== undefined && parts === undefined && sha256 !== undefined) {
    return { modelPath, modelSha256: sha256, stored };
  }
  if (modelPath !== undefined && parts !== undefined) {
    const modelSha256 = sha256 ?? await modelHash(parts.map((part) => part.sha256));
    return { modelPath, modelSha256, parts, stored };
  }
  // For split models, or without a hash, only the store's manifests list the files.
  for (const one of sha256 === undefined ? [name] : [name, storedAs(name, sha256)]) {
    const found = await store.find(one);
    if (found === undefined || (sha256 !== undefined && found.sha256 !== sha256)) continue;
    return locatedBlobs(found.parts, { modelSha256: found.sha256, stored });
  }
  throw notThere(config);
}

/** Without a configured hash, the store's applies. */
function storedBy({ modelSha256, stored }: LlamaBackendConfig): "name" | "hash" {
  return stored ?? (modelSha256 === undefined ? "name" : "hash");
}

function locatedBlobs(blobs: readonly ModelPart[], rest: Pick<Located, "modelSha256" | "stored">): Located {
  const parts = blobs.map(({ path, sha256 }): ModelPart => ({ path, sha256 }));
  return { modelPath: parts[0]?.path ?? "", ...rest, ...(parts.length > 1 ? { parts } : {}) };
}

function notThere({ modelName: name, stored }: LlamaBackendConfig, cause?: unknown): ModelStoreError {
  const reason = stored !== undefined
    ? `Model "${name}" is in the store, but a file of it is missing; "${typed("doctor")}" says which, and what to do`
    : `Model "${name}" is not in the store, and auto_pull is off; "${typed(`pull ${name}`)}" fetches it`;
  return new ModelStoreError("not_found", reason, { cause });
}

function anotherHash(name: string, wanted: string, found: string | undefined): ModelStoreError {
  const what = found === undefined ? `has no model "${name}"` : `has "${name}" with the SHA-256 ${found}`;
  return new ModelStoreError(
    "not_found",
    `The store ${what}, and none with the configured SHA-256 ${wanted}; correct "sha256", or pull or import the model`,
  );
}

async function pullModel(
  store: Store,
  config: LlamaBackendConfig,
  { huggingFace = {} }: Pick<DaemonOptions, "huggingFace">,
  { onPhase, log, signal }: AtBootOptions,
): Promise<StoredBlob> {
  const { modelName: model, parts, source } = config;
  if (source === undefined) throw notThere(config);
  const sha256 = config.modelSha256 ?? (parts && await modelHash(parts.map((part) => part.sha256)));
  const { url, sizeBytes, license } = source;
  const pull = (name: string): Promise<StoredBlob> =>
    store.pull({ name, url, sha256, sizeBytes, license }, {
      access: { endpoint: huggingFace.endpoint, huggingFace: huggingFace.token },
      check: "size",
      onPhase,
      signal,
      onWait: () => log.info("model_pull_waits", { model }),
      onRetry: ({ attempt, attempts, reason, delayMs }) =>
        log.warn("model_pull_retried", { model, attempt, attempts, reason, delay_ms: delayMs }),
    });
  try {
    return await pull(model);
  } catch (error) {
    // The hash identifies the model, whatever its name in the store.
    if (!(error instanceof ModelStoreError) || error.code !== "taken" || sha256 === undefined) throw error;
    const name = storedAs(model, sha256);
    log.warn("model_name_taken", { model, stored_as: name });
    return await pull(name);
  }
}

/** Name in the store for a model whose own name refers to another one. */
export function storedAs(name: string, sha256: string): string {
  const suffix = `-${sha256.slice(0, 12)}`;
  return `${name.slice(0, 128 - suffix.length)}${suffix}`;
}
