/** The model store, as far as HTTP clients may use it. Only there if they may download. */

/** A line of Ollama's `/api/pull`. */
export interface PullLine {
  readonly status: string;
  /** Of the file: `sha256:` and hex. */
  readonly digest?: string;
  /** Size of the file. */
  readonly total?: number;
  readonly completed?: number;
  /** Name in the store; in the last line. */
  readonly model?: string;
}

/** A complete model of the store. */
export interface ListedModel {
  readonly name: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** ISO 8601; `null` if unknown. */
  readonly modifiedAt: string | null;
  /** Empty if the name does not tell. */
  readonly quantisation: string;
}

/** The store. Disposal aborts all downloads; they can be resumed. */
export interface ModelStore extends Disposable {
  /**
   * Download a model. Callers with the same reference share a download, which is aborted when the last of them leaves.
   *
   * @param reference `hf:OWNER/REPO[:QUANT]`, `hf:OWNER/REPO/FILE.gguf`, or a name in the store.
   * @param signal Fires when the caller leaves.
   * @returns The progress; the last line is `success`.
   * @throws {ApiError} If it fails.
   */
  pull(reference: string, signal: AbortSignal): AsyncGenerator<PullLine>;

  /** @throws {ApiError} If the store cannot be read. */
  list(): Promise<readonly ListedModel[]>;
}
