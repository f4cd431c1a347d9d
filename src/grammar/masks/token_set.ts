/** Token sets stored as differences from a shared base. */

/** Approximate size of an object in bytes. */
const OBJECT_BYTES = 200;
/** Maximum pooled drafts. */
const MOST_SPARE = 4;
const LEAST_CHANGES = 256;

const NONE = new Int32Array(0);

/** A set of allowed tokens. */
export class TokenSet {
  readonly #words: number;
  /** The base, immutable. */
  readonly #base: Uint32Array | undefined;
  /** Tokens that differ. */
  readonly #changed: Int32Array;
  readonly #isOwn: boolean;

  /**
   * @param size Tokens of the vocabulary.
   * @param base The base, which must not change any more; absent: the empty set.
   * @param changed Tokens that differ from it.
   * @param isOwn Whether the base is not shared.
   */
  constructor(size: number, base?: Uint32Array, changed = NONE, isOwn = false) {
    this.#words = (size + 31) >> 5;
    this.#base = base;
    this.#changed = changed;
    this.#isOwn = isOwn;
  }

  /** Approximate memory in bytes, without a shared base. */
  get bytes(): number {
    return OBJECT_BYTES + this.#changed.byteLength + (this.#isOwn ? this.#base?.byteLength ?? 0 : 0);
  }

  /**
   * Convert to a bit set.
   *
   * @param into Target of the vocabulary's size; absent: a new one.
   * @returns A bit for each token.
   */
  bits(into: Uint32Array = new Uint32Array(this.#words)): Uint32Array {
    if (this.#base === undefined) into.fill(0);
    else into.set(this.#base);
    const changed = this.#changed;
    for (let i = 0; i < changed.length; i++) flip(into, changed[i] as number);
    return into;
  }

  /**
   * This set with more differences, as a bit set if that is smaller.
   *
   * @param changed The first `count` are used.
   */
  with(changed: Int32Array, count: number, size: number): TokenSet {
    if (count === 0) return this;
    const before = this.#changed.length;
    const all = new Int32Array(before + count);
    all.set(this.#changed);
    for (let i = 0; i < count; i++) all[before + i] = changed[i] as number;
    const set = new TokenSet(size, this.#base, all);
    return all.length <= this.#words ? set : new TokenSet(size, set.bits(), undefined, true);
  }
}

/** A token set under construction. */
export class Draft {
  readonly #size: number;
  readonly #from: TokenSet;
  readonly #bits: Uint32Array;
  #changed = spareChanges.pop() ?? new Int32Array(LEAST_CHANGES);
  #count = 0;

  /**
   * @param from Initial set.
   * @param size Tokens of the vocabulary.
   */
  constructor(from: TokenSet, size: number) {
    this.#size = size;
    this.#from = from;
    this.#bits = from.bits(takeSpare((size + 31) >> 5));
  }

  add(token: number): void {
    if (((this.#bits[token >> 5] as number) >>> (token & 31) & 1) === 0) this.#change(token);
  }

  remove(token: number): void {
    if (((this.#bits[token >> 5] as number) >>> (token & 31) & 1) === 1) this.#change(token);
  }

  /** Finish; nothing can be added afterwards. */
  done(): TokenSet {
    if (spare.length < MOST_SPARE) {
      spare.push(this.#bits);
      spareChanges.push(this.#changed);
    }
    return this.#from.with(this.#changed, this.#count, this.#size);
  }

  #change(token: number): void {
    flip(this.#bits, token);
    if (this.#count === this.#changed.length) {
      const more = new Int32Array(this.#count * 2);
      more.set(this.#changed);
      this.#changed = more;
    }
    this.#changed[this.#count++] = token;
  }
}

const spare: Uint32Array[] = [];
const spareChanges: Int32Array[] = [];

function takeSpare(words: number): Uint32Array {
  const bits = spare.pop();
  return bits?.length === words ? bits : new Uint32Array(words);
}

function flip(bits: Uint32Array, token: number): void {
  bits[token >> 5] = (bits[token >> 5] as number) ^ (1 << (token & 31));
}
