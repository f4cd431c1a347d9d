/**
 * Which models of the daemon are in memory. They are loaded one after another, and when one does not fit, the one that
 * has been idle longest leaves. Whether a model fits is the engine's to say, see `engine/native/memory.ts`.
 */

/** A model that may be in memory. */
export interface LoadedModel {
  /** Size of its weights; 0: it is not loaded. */
  readonly weightBytes: number;
  /** When its last request began or ended; undefined: it cannot leave now, because it works or is to stay. */
  readonly idleSince: number | undefined;
  /** Leave memory; resolves when the memory is free. */
  unload(reason: "memory"): Promise<void>;
}

/** The models that share a machine's memory. */
export class LoadedModels {
  readonly #models = new Set<LoadedModel>();
  #turn: Promise<void> = Promise.resolve();

  /** Know a model. */
  add(model: LoadedModel): void {
    this.#models.add(model);
  }

  /** What others have loaded, in bytes. */
  bytesBeside(model: LoadedModel): number {
    return this.#beside(model).reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  }

  /** Whether another model could leave. */
  canFree(model: LoadedModel): boolean {
    return this.#oldest(model) !== undefined;
  }

  /**
   * Have the model leave that has been idle longest.
   *
   * @param model It is not asked itself.
   * @returns Whether there was one.
   */
  async free(model: LoadedModel): Promise<boolean> {
    const oldest = this.#oldest(model);
    await oldest?.unload("memory");
    return oldest !== undefined;
  }

  /** Load while nobody else loads: two at a time would both count on the same memory. */
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
