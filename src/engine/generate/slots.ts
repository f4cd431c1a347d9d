/**
 * Slots of the KV cache, and its prefix cache: which sequence holds which tokens, and which slot a new request gets
 * (longest common prefix, else LRU). Pure; `scheduler.ts` moves the memory.
 */

/** One sequence of the context. `J` is the job that runs on it. */
export class Slot<J> {
  readonly sequence: number;
  /** Holds a kept prompt prefix; never assigned to a request. */
  readonly kept: boolean;
  /** Cached tokens, in order. A finished request leaves them for the next. */
  readonly tokens: number[] = [];
  job: J | undefined = undefined;
  /** Cells reserved for the job; at least what it holds. */
  reserved = 0;
  /** Logical time of the last use. */
  used = 0;

  constructor(sequence: number, kept: boolean) {
    this.sequence = sequence;
    this.kept = kept;
  }
}

export interface Prefix<J> {
  readonly slot: Slot<J>;
  readonly length: number;
}

export class Slots<J> {
  readonly #cells: number;
  readonly #wholeSequencesOnly: boolean;
  readonly #apart: boolean;
  readonly #slots: readonly Slot<J>[];
  #clock = 0;

  /**
   * @param options.cells KV cells, shared by all sequences.
   * @param options.wholeSequencesOnly Sequences can be extended, but neither truncated nor shared.
   * @param options.apart Each slot has separate cells, and adjacent slots are computed in one pass.
   * @param options.kept Cells of each additional kept sequence.
   */
  constructor(
    count: number,
    options: {
      readonly cells: number;
      readonly wholeSequencesOnly: boolean;
      readonly apart?: boolean;
      readonly kept?: readonly number[];
    },
  ) {
    this.#cells = options.cells;
    this.#apart = options.apart ?? false;
    this.#wholeSequencesOnly = options.wholeSequencesOnly;
    const { kept = [] } = options;
    this.#slots = Array.from(
      { length: count + kept.length },
      (_, sequence) => new Slot<J>(sequence, sequence >= count),
    );
    kept.forEach((cells, index) => (this.#slots[count + index] as Slot<J>).reserved = cells);
  }

  get all(): readonly Slot<J>[] {
    return this.#slots;
  }

  /** Whether a request may start: a slot is free, and enough cells are unreserved. */
  fits(cells: number): boolean {
    return this.#slots.some(isFree) && this.#reserved() + cells <= this.#cells;
  }

  /**
   * Assign a free slot. Prefers the longest cached prefix if it covers the whole prompt or at least half of the slot's
   * tokens, i.e. the same conversation. Otherwise LRU; with separate cells, the slot with the most running neighbours
   * among the less recently used half, or among twice as many as are needed now.
   *
   * @param options.cells Cells to reserve.
   * @param options.needed Requests that wait for a slot, this one included.
   */
  assign(
    job: J,
    prompt: ArrayLike<number>,
    { cells, needed = 1 }: { readonly cells: number; readonly needed?: number },
  ): Slot<J> {
    const free = this.#slots.filter(isFree);
    const best = this.#longest(free, prompt);
    const same = best !== undefined && best.length > 0 &&
      (best.length === prompt.length - 1 || best.length * 2 >= best.slot.tokens.length);
    const slot = same ? best.slot : this.#toReplace(free, needed);
    slot.job = job;
    slot.reserved = cells;
    slot.used = ++this.#clock;
    return slot;
  }

  /** Frees the slot; its tokens stay cached. */
  release(slot: Slot<J>): void {
    slot.job = undefined;
    slot.reserved = 0;
    slot.used = ++this.#clock;
  }

  /** Number of prompt tokens that the slot's cache covers. The last prompt token is always decoded, for its logits. */
  usable(slot: Slot<J>, prompt: ArrayLike<number>): number {
    const length = Math.min(commonPrefix(slot.tokens, prompt), prompt.length - 1);
    return this.#wholeSequencesOnly && length < slot.tokens.length ? 0 : length;
  }

  /** Slot with the longest shareable prefix of a prompt. */
  prefix(prompt: ArrayLike<number>): Prefix<J> | undefined {
    return this.#wholeSequencesOnly ? undefined : this.#longest(this.#slots, prompt);
  }

  /** Free slots to clear so that running jobs get their reserved cells, least recently used first. */
  toEmpty(spare?: Slot<J>): Slot<J>[] {
    const free = this.#slots
      .filter((slot) => isFree(slot) && slot.tokens.length > 0)
      .sort((a, b) => (a === spare ? 1 : 0) - (b === spare ? 1 : 0) || a.used - b.used);
    let excess = this.#reserved() + free.reduce((sum, slot) => sum + slot.tokens.length, 0) - this.#cells;
    const emptied: Slot<J>[] = [];
    for (const slot of free) {
      if (excess <= 0) break;
      excess -= slot.tokens.length;
      emptied.push(slot);
    }
    return emptied;
  }

  /** Cells that are neither reserved nor in use. */
  get spare(): number {
    return this.#slots.reduce((cells, slot) => cells - (isFree(slot) ? slot.tokens.length : 0), this.#cells) -
      this.#reserved();
  }

  #toReplace(free: readonly Slot<J>[], needed: number): Slot<J> {
    const count = this.#apart ? Math.max(Math.ceil(free.length / 2), needed * 2) : 1;
    const oldest = free.toSorted((a, b) => age(a) - age(b)).slice(0, count);
    return oldest.reduce((best, slot) => this.#neighbours(slot) > this.#neighbours(best) ? slot : best);
  }

  #neighbours({ sequence }: Slot<J>): number {
    return [sequence - 1, sequence + 1].filter((next) => this.#slots[next]?.job !== undefined).length;
  }

  #longest(slots: readonly Slot<J>[], prompt: ArrayLike<number>): Prefix<J> | undefined {
    let best: Prefix<J> | undefined;
    for (const slot of slots) {
      const length = this.usable(slot, prompt);
      if (best === undefined || length > best.length) best = { slot, length };
    }
    return best;
  }

  #reserved(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.reserved, 0);
  }
}

export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const end = Math.min(a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

function isFree<J>(slot: Slot<J>): boolean {
  return slot.job === undefined && !slot.kept;
}

/** Empty slots go first. */
function age<J>(slot: Slot<J>): number {
  return slot.tokens.length === 0 ? -1 : slot.used;
}
