/** What a daemon does at boot about a model of the store: fetch what is missing, and hold what is served. */
import type { LoadPhase } from "@inferd/client/protocol";
import type { DaemonOptions, LlamaBackendConfig } from "../config/options.ts";
import type { ActivityLog } from "../log.ts";
import type { FileIdentity } from "./model_file.ts";
import { ModelStoreError, Store } from "./store.ts";

/** Who is told, and what gives up. */
export interface AtBootOptions {
  readonly onPhase: (phase: LoadPhase) => void;
  readonly log: ActivityLog;
  readonly signal: AbortSignal;
}

/** A model that nobody removes until it is let go. */
export interface HeldModel extends Disposable {
  /** What the file was when this call had hashed it. */
  readonly verified: FileIdentity | undefined;
}

/**
 * Have a model in the store, and hold it: nobody removes it meanwhile. What is there already is looked at by its size
 * alone: it is hashed when it is loaded.
 *
 * @param config The backend; it has a source and a hash.
 * @param options Where the store is, and whether it may be filled.
 * @param boot Who is told, and what gives up.
 * @returns Lets go of it when disposed.
 * @throws {ModelStoreError} If it is not there and cannot be had.
 */
export async function holdModel(
  config: LlamaBackendConfig,
  options: Pick<DaemonOptions, "modelsHome" | "autoPull">,
  { onPhase, log, signal }: AtBootOptions,
): Promise<HeldModel> {
  const { modelName: name, modelSha256: sha256, source } = config;
  if (sha256 === undefined || source === undefined) throw new Error(`Model "${name}" has no source`);
  const store = new Store(options.modelsHome);
  let verified: FileIdentity | undefined;
  if (options.autoPull) {
    const { url, sizeBytes, license } = source;
    const blob = await store.pull({ name, url, sha256, sizeBytes, license }, {
      check: "size",
      onPhase,
      signal,
      onWait: () => log.info("model_pull_waits", { model: name }),
      onRetry: ({ attempt, attempts, reason, delayMs }) =>
        log.warn("model_pull_retried", { model: name, attempt, attempts, reason, delay_ms: delayMs }),
    });
    verified = blob.verified;
  }
  try {
    const held = await store.hold(sha256);
    return { verified, [Symbol.dispose]: () => held[Symbol.dispose]() };
  } catch (error) {
    if (!(error instanceof ModelStoreError) || options.autoPull) throw error;
    const reason = `Model "${name}" is not in the store, and auto_pull is off; "inferd pull ${name}" fetches it`;
    throw new ModelStoreError(error.code, reason, { cause: error });
  }
}
