/** A hash table whose keys are parts of its values, so that nothing is made to look one up. */

const LEAST = 64;

/** Mixes a number into a hash. */
export function hashOf(hash: number, next: number): number {
  hash = Math.imul(hash ^ next, 0x9e3779b1);
  return hash ^ hash >>> 15;
}

/** Values by their hashes. Look from `first` on along `next` until one fits or there is none. */
export class HashTable<T> {
  #values: T[] = [];
  #hashes: number[] = [];
  /** Numbers of values and 1; 0 where none is. At least half of it is empty. */
  #slots = new Int32Array(LEAST);

  get size(): number {
    return this.#values.length;
  }

  /** All values, in the order in which they were added. */
  get all(): readonly T[] {
    return this.#values;
  }

  /** Where to look first. */
  first(hash: number): number {
    return hash & (this.#slots.length - 1);
  }

  /** Where to look then. */
  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** What is there. */
  at(slot: number): T | undefined {
    const number = this.#slots[slot] as number;
    return number === 0 ? undefined : this.#values[number - 1];
  }

  /** Add one where nothing is. */
  add(slot: number, hash: number, value: T): T {
    this.#hashes.push(hash);
    this.#slots[slot] = this.#values.push(value);
    if (this.#values.length * 2 > this.#slots.length) this.#grow();
    return value;
  }

  clear(): void {
    this.#values = [];
    this.#hashes = [];
    this.#slots = new Int32Array(LEAST);
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    for (let number = 0; number < this.#hashes.length; number++) {
      let slot = this.first(this.#hashes[number] as number);
      while (this.#slots[slot] !== 0) slot = this.next(slot);
      this.#slots[slot] = number + 1;
    }
  }
}
