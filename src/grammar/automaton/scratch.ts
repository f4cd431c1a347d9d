/** A list that is reused: clearing it keeps its memory. */

/** Up to this length, sorted in place by insertion. */
const FEW = 32;
const NONE: readonly never[] = [];

/** A reusable list. */
export class Scratch<T> {
  readonly #items: T[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(index: number): T {
    return this.#items[index] as T;
  }

  push(item: T): void {
    this.#items[this.#length++] = item;
  }

  pop(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[--this.#length];
  }

  /** Keeps the memory, and references to old elements until they are overwritten. */
  clear(): void {
    this.#length = 0;
  }

  /** A copy. */
  all(): readonly T[] {
    return this.#length === 0 ? NONE : this.#items.slice(0, this.#length);
  }

  equals(others: readonly T[]): boolean {
    if (this.#length !== others.length) return false;
    for (let i = 0; i < others.length; i++) if (this.#items[i] !== others[i]) return false;
    return true;
  }

  sort(compare: (a: T, b: T) => number): void {
    const items = this.#items;
    if (this.#length > FEW) {
      for (const [i, item] of items.slice(0, this.#length).sort(compare).entries()) items[i] = item;
      return;
    }
    for (let i = 1; i < this.#length; i++) {
      const item = items[i] as T;
      let at = i;
      for (; at > 0 && compare(items[at - 1] as T, item) > 0; at--) items[at] = items[at - 1] as T;
      items[at] = item;
    }
  }
}
