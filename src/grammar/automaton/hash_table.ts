/** A hash table whose keys are fields of its values, so that a lookup allocates nothing. */

const LEAST = 64;

/** Mixes a number into a hash. */
export function hashOf(hash: number, next: number): number {
  hash = Math.imul(hash ^ next, 0x9e3779b1);
  return hash ^ hash >>> 15;
}

/** Open hashing: search from `first` along `next` until a value matches or the chain ends. */
export class HashTable<T> {
  #values: T[] = [];
  #hashes: number[] = [];
  /** Index of each value plus 1; 0 is an empty bucket. At most half full. */
  #slots = new Int32Array(LEAST);

  get size(): number {
    return this.#values.length;
  }

  /** All values, in insertion order. */
  get all(): readonly T[] {
    return this.#values;
  }

  /** First bucket of a hash. */
  first(hash: number): number {
    return hash & (this.#slots.length - 1);
  }

  /** Next bucket of the chain. */
  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** The value in a bucket. */
  at(slot: number): T | undefined {
    const number = this.#slots[slot] as number;
    return number === 0 ? undefined : this.#values[number - 1];
  }

  /** Insert a value into an empty bucket. */
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
