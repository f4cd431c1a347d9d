/** A set of tokens that differs in a few from one that many others share too. */

/** What an object takes, in bytes. */
const OBJECT_BYTES = 200;
/** Drafts whose memory is kept for the next ones. */
const MOST_SPARE = 4;
const LEAST_CHANGES = 256;

const NONE = new Int32Array(0);

/** Tokens that may come next. */
export class TokenSet {
  readonly #words: number;
  /** What it differs from; nobody changes it. */
  readonly #base: Uint32Array | undefined;
  /** The tokens in which it does. */
  readonly #changed: Int32Array;
  readonly #isOwn: boolean;

  /**
   * @param size Tokens of the vocabulary.
   * @param base What it differs from; absent: the empty set. Not to be changed any more.
   * @param changed The tokens in which it does.
   * @param isOwn Whether nobody else has the base.
   */
  constructor(size: number, base?: Uint32Array, changed = NONE, isOwn = false) {
    this.#words = (size + 31) >> 5;
    this.#base = base;
    this.#changed = changed;
    this.#isOwn = isOwn;
  }

  /** Memory that it takes for itself, in bytes, roughly. */
  get bytes(): number {
    return OBJECT_BYTES + this.#changed.byteLength + (this.#isOwn ? this.#base?.byteLength ?? 0 : 0);
  }

  /**
   * Write it out.
   *
   * @param into Where to; has to be of the vocabulary's size. Absent: somewhere new.
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
   * This with some more differences; written out, if that takes less memory.
   *
   * @param changed As many as `count` says.
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

/** A set of tokens that is being found. */
export class Draft {
  readonly #size: number;
  readonly #from: TokenSet;
  readonly #bits: Uint32Array;
  #changed = spareChanges.pop() ?? new Int32Array(LEAST_CHANGES);
  #count = 0;

  /**
   * @param from What it begins with.
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

  /** What has been found; nothing can be added any more. */
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
