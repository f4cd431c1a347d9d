/**
 * The daemon's models in memory. They load one at a time; when one does not fit, the least recently used idle model is
 * unloaded. Whether a model fits is decided in `engine/native/memory.ts`.
 */

/** A model that can be loaded and unloaded. */
export interface LoadedModel {
  /** Size of its weights; 0 while not loaded. */
  readonly weightBytes: number;
  /** When its last request started or ended; undefined if it cannot be unloaded now: busy, or pinned. */
  readonly idleSince: number | undefined;
  /** Unload; resolves once the memory is free. */
  unload(reason: "memory"): Promise<void>;
}

/** The models that share the machine's memory. */
export class LoadedModels {
  readonly #models = new Set<LoadedModel>();
  #turn: Promise<void> = Promise.resolve();

  add(model: LoadedModel): void {
    this.#models.add(model);
  }

  /** Bytes loaded by other models. */
  bytesBeside(model: LoadedModel): number {
    return this.#beside(model).reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  }

  canFree(model: LoadedModel): boolean {
    return this.#oldest(model) !== undefined;
  }

  /**
   * Unload the model that has been idle longest.
   *
   * @param model The model to make room for; never unloaded itself.
   * @returns Whether a model was unloaded.
   */
  async free(model: LoadedModel): Promise<boolean> {
    const oldest = this.#oldest(model);
    await oldest?.unload("memory");
    return oldest !== undefined;
  }

  /** Serialise loads: two at a time would count on the same free memory. */
  async inTurn<T>(load: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await load();
    } finally {
      resolve();
    }
  }

  #beside(model: LoadedModel): LoadedModel[] {
    return [...this.#models].filter((other) => other !== model);
  }

  #oldest(model: LoadedModel): LoadedModel | undefined {
    const idle = this.#beside(model).filter(({ idleSince }) => idleSince !== undefined);
    return idle.sort((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0))[0];
  }
}
