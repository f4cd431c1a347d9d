/**
 * A vocabulary sorted by bytes, so that tokens with a common prefix are adjacent and the prefix is walked once, as in a trie.
 * Made once for a model, when the first grammar needs it.
 */

/** What tokens mean to a grammar. */
export interface TokenBytes {
  /** The bytes of a token; empty if it is not text. */
  piece(token: number): Uint8Array;
  /** Whether a token ends the answer. */
  ends(token: number): boolean;
}

/** Bytes of a piece that are sorted as one float, and by what a token's number in the same float is bounded. */
const SORTED_BYTES = 4;
const TOKEN_BITS = 2 ** 20;
/** So many are compared one by one. */
const FEW = 16;

/** A vocabulary that can be gone through quickly. */
export class VocabularyIndex implements TokenBytes {
  readonly #tokens: TokenBytes;
  /** Of all tokens, with those that are not text. */
  readonly size: number;
  /** Tokens that are text and do not end the answer, by their bytes. */
  readonly order: Int32Array;
  /** The bytes of all of them in this order, and where each begins; one more for the end. */
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  /** How many bytes each has in common with the one before. */
  readonly shared: Uint32Array;
  readonly ending: readonly number[];

  constructor(size: number, tokens: TokenBytes) {
    this.size = size;
    this.#tokens = tokens;
    if (size > TOKEN_BITS) throw new RangeError(`A vocabulary may have ${TOKEN_BITS} tokens, this one has ${size}`);
    const pieces: Uint8Array[] = new Array(size);
    const texts = new Int32Array(size);
    const ending: number[] = [];
    let count = 0;
    let total = 0;
    for (let token = 0; token < size; token++) {
      const piece = tokens.piece(token);
      pieces[token] = piece;
      if (tokens.ends(token)) ending.push(token);
      else if (piece.length > 0) {
        texts[count++] = token;
        total += piece.length;
      }
    }
    this.ending = ending;
    this.order = sorted(texts.subarray(0, count), pieces);
    const bytes = new Uint8Array(total);
    const starts = new Uint32Array(count + 1);
    const shared = new Uint32Array(count);
    let at = 0;
    let before = 0;
    for (let i = 0; i < count; i++) {
      const piece = pieces[this.order[i] as number] as Uint8Array;
      const start = at;
      for (let j = 0; j < piece.length; j++) bytes[at++] = piece[j] as number;
      const most = Math.min(start - before, piece.length);
      let same = 0;
      while (same < most && bytes[start + same] === bytes[before + same]) same++;
      starts[i] = before = start;
      shared[i] = same;
    }
    starts[count] = at;
    this.bytes = bytes;
    this.starts = starts;
    this.shared = shared;
  }

  piece(token: number): Uint8Array {
    return this.#tokens.piece(token);
  }

  ends(token: number): boolean {
    return this.#tokens.ends(token);
  }
}

/** Tokens by their bytes: some bytes at a time, and further ones only where all before are equal. */
function sorted(tokens: Int32Array, pieces: readonly Uint8Array[]): Int32Array {
  const keys = new Float64Array(tokens.length);
  const open: { start: number; end: number; from: number }[] = [{ start: 0, end: tokens.length, from: 0 }];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const { start, end, from } = range;
    if (end - start <= FEW) {
      insertionSort(tokens, pieces, range);
      continue;
    }
    for (let i = start; i < end; i++) {
      const token = tokens[i] as number;
      const piece = pieces[token] as Uint8Array;
      let key = 0;
      // One that ends comes before all that go on, whatever with.
      for (let at = from; at < from + SORTED_BYTES; at++) {
        key = key * 257 + (at < piece.length ? piece[at] as number + 1 : 0);
      }
      keys[i] = key * TOKEN_BITS + token;
    }
    keys.subarray(start, end).sort();
    for (let i = start; i < end; i++) tokens[i] = (keys[i] as number) % TOKEN_BITS;
    for (let first = start; first < end;) {
      const key = Math.floor((keys[first] as number) / TOKEN_BITS);
      let last = first + 1;
      while (last < end && Math.floor((keys[last] as number) / TOKEN_BITS) === key) last++;
      // The last part of the key is zero where the pieces have ended: they are equal.
      if (last - first > 1 && key % 257 !== 0) open.push({ start: first, end: last, from: from + SORTED_BYTES });
      first = last;
    }
  }
  return tokens;
}

function insertionSort(
  tokens: Int32Array,
  pieces: readonly Uint8Array[],
  { start, end, from }: { readonly start: number; readonly end: number; readonly from: number },
): void {
  for (let i = start + 1; i < end; i++) {
    const token = tokens[i] as number;
    const piece = pieces[token] as Uint8Array;
    let at = i;
    for (; at > start; at--) {
      const other = tokens[at - 1] as number;
      if (compare(pieces[other] as Uint8Array, piece, from) <= 0) break;
      tokens[at] = other;
    }
    tokens[at] = token;
  }
}

/** Of pieces that are equal up to a place. */
function compare(a: Uint8Array, b: Uint8Array, from: number): number {
  const length = Math.min(a.length, b.length);
  for (let i = from; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
