/** A backend's model files: verifies them before each load, and checks that the engine opened the same files. */
import type { LoadPhase } from "@inferd/client/protocol";
import { BackendUnavailableError } from "../../inference/errors.ts";
import {
  checkModel,
  type FileIdentity,
  lookAtModelFile,
  type ModelFile,
  ModelFileError,
  sameBytes,
  sameFile,
  verifyModel,
} from "../../models/file/model_file.ts";
import type { ModelHashes } from "../../models/file/model_hashes.ts";
import type { LlamaConfig, LlamaOptions } from "./options.ts";

/** Whether loading failed because of the model files rather than the engine. */
export function isModelFault(error: unknown): boolean {
  return error instanceof BackendUnavailableError && error.cause instanceof ModelFileError;
}

export interface FilesWatch {
  readonly onPhase: (phase: LoadPhase) => void;
  /** Pauses the load clock; dispose of the result to resume. */
  readonly pauseLoading: () => Disposable;
}

/** Location and expected SHA-256 of a model. */
type LocatedModel = Pick<LlamaConfig, "modelPath" | "parts" | "modelSha256" | "stored">;

/** Verifies model files and remembers the result. */
export class ModelFiles {
  readonly #config: LocatedModel;
  readonly #hashes: ModelHashes | undefined;
  readonly #watch: FilesWatch;
  #verified: readonly FileIdentity[] | undefined;

  constructor(config: LocatedModel, options: Pick<LlamaOptions, "hashes" | "verified">, watch: FilesWatch) {
    this.#config = config;
    this.#hashes = options.hashes;
    this.#verified = options.verified;
    this.#watch = watch;
  }

  /** Check the files, including their SHA-256 where one is expected. */
  async check(signal: AbortSignal): Promise<readonly ModelFile[]> {
    const { modelPath: path, parts, modelSha256: sha256 } = this.#config;
    try {
      this.#watch.onPhase({ phase: "checking_local", path });
      const files = await checkModel(path, parts?.map(({ path }) => path));
      const verified = this.#verified;
      const isKnown = verified !== undefined && files.length === verified.length &&
        files.every(({ identity }, index) => sameFile(identity, verified[index] ?? identity));
      if (sha256 !== undefined && !isKnown) await this.#verify(files, { sha256, signal });
      return files;
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      throw new BackendUnavailableError(error.message, { cause: error });
    }
  }

  async #verify(
    files: readonly ModelFile[],
    { sha256, signal }: { readonly sha256: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { modelPath: path, parts, stored } = this.#config;
    const onWork = (): void => this.#watch.onPhase({ phase: "verify", path });
    const hashes = this.#hashes;
    // Files configured by path are hashed every time; a file named by the store is trusted while its timestamps are
    // unchanged.
    const known = stored !== "name" || hashes === undefined
      ? undefined
      : (file: string): Promise<string> => hashes.file(file, { signal, onWork });
    using _paused = this.#watch.pauseLoading();
    if (known === undefined) onWork();
    await verifyModel(files, {
      sha256,
      parts: parts?.map(({ sha256 }) => sha256),
      signal,
      ...(known === undefined ? {} : { known }),
    });
    this.#verified = files.map(({ identity }) => identity);
  }

  /** The engine opens files by path, so their identities must be unchanged since the check. */
  async checkSwap(files: readonly ModelFile[]): Promise<void> {
    const isPinned = this.#config.modelSha256 !== undefined;
    const isSame = isPinned ? sameFile : sameBytes;
    for (const { path, identity } of files) {
      const same = await lookAtModelFile(path).then((now) => isSame(now, identity), () => false);
      if (!same) {
        const when = isPinned ? "after its SHA-256 was checked" : "while it was loaded";
        throw new BackendUnavailableError(`Cannot load model "${path}": it was replaced ${when}`);
      }
    }
  }
}

/** The files an engine loads, with their identities when checked. */
export interface LoadedFiles {
  readonly model: readonly ModelFile[];
  readonly draft: readonly ModelFile[] | undefined;
}
