/**
 * The slots of the KV cache and its prefix cache: which sequence holds which tokens, and which one a new request gets
 * (the longest common prefix, else the least recently used). Pure: the memory itself is moved by `scheduler.ts`.
 */

/** One sequence of the context. `J` is what runs on it. */
export class Slot<J> {
  readonly sequence: number;
  /** Holds the beginning of prompts to come, and is never given to a request. */
  readonly kept: boolean;
  /** The tokens in memory, in order. A finished request leaves them for the next. */
  readonly tokens: number[] = [];
  job: J | undefined = undefined;
  /** Cells promised to the job; never less than what it holds. */
  reserved = 0;
  /** When it was last given to a request; larger is later. */
  used = 0;

  constructor(sequence: number, kept: boolean) {
    this.sequence = sequence;
    this.kept = kept;
  }
}

/** Where the beginning of a prompt already is. */
export interface Prefix<J> {
  readonly slot: Slot<J>;
  readonly length: number;
}

/** The slots of a context. */
export class Slots<J> {
  readonly #cells: number;
  readonly #wholeSequencesOnly: boolean;
  readonly #apart: boolean;
  readonly #slots: readonly Slot<J>[];
  #clock = 0;

  /**
   * @param count Sequences for requests.
   * @param options.cells Tokens that fit into memory, over all of them.
   * @param options.wholeSequencesOnly What a slot holds can be continued, but neither cut nor shared.
   * @param options.apart Each slot has cells of its own: those that are next to each other are computed together.
   * @param options.kept Cells of each sequence that is kept besides.
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

  /** Whether a request may start: a slot is free, and the running ones leave it the cells it may need. */
  fits(cells: number): boolean {
    return this.#slots.some(isFree) && this.#reserved() + cells <= this.#cells;
  }

  /**
   * Give a free slot to a job. It is the one that holds most of the prompt, if that is all of it, or if what the slot
   * holds besides is no more than that: it is then the same conversation. Otherwise it is one that was not used for long:
   * of the half used least recently the one with most neighbours that run, where that makes a difference.
   */
  assign(job: J, prompt: ArrayLike<number>, cells: number): Slot<J> {
    const free = this.#slots.filter(isFree);
    const best = this.#longest(free, prompt);
    const same = best !== undefined && best.length > 0 &&
      (best.length === prompt.length - 1 || best.length * 2 >= best.slot.tokens.length);
    const slot = same ? best.slot : this.#toReplace(free);
    slot.job = job;
    slot.reserved = cells;
    slot.used = ++this.#clock;
    return slot;
  }

  /** The job is over; its tokens stay. */
  release(slot: Slot<J>): void {
    slot.job = undefined;
    slot.reserved = 0;
    slot.used = ++this.#clock;
  }

  /**
   * How much of a prompt can start from what a slot holds. At least the prompt's last token is decoded: what follows
   * from it is needed.
   */
  usable(slot: Slot<J>, prompt: ArrayLike<number>): number {
    const length = Math.min(commonPrefix(slot.tokens, prompt), prompt.length - 1);
    return this.#wholeSequencesOnly && length < slot.tokens.length ? 0 : length;
  }

  /** The slot with the longest prefix of a prompt that can be shared. */
  prefix(prompt: ArrayLike<number>): Prefix<J> | undefined {
    return this.#wholeSequencesOnly ? undefined : this.#longest(this.#slots, prompt);
  }

  /**
   * The free slots that have to be emptied, so that the running ones get what they were promised. The one unused for
   * longest goes first.
   *
   * @param spare A slot to spare as long as others will do.
   */
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

  /** Cells that nobody was promised, and that hold nothing. */
  get spare(): number {
    return this.#slots.reduce((cells, slot) => cells - (isFree(slot) ? slot.tokens.length : 0), this.#cells) -
      this.#reserved();
  }

  /** The free slot that loses what it holds. */
  #toReplace(free: readonly Slot<J>[]): Slot<J> {
    const oldest = free.toSorted((a, b) => age(a) - age(b)).slice(0, this.#apart ? Math.ceil(free.length / 2) : 1);
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

/** How many tokens two sequences begin with in common. */
export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const end = Math.min(a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

function isFree<J>(slot: Slot<J>): boolean {
  return slot.job === undefined && !slot.kept;
}

/** An empty slot has nothing to lose. */
function age<J>(slot: Slot<J>): number {
  return slot.tokens.length === 0 ? -1 : slot.used;
}
