/**
 * Tokens as a byte trie in depth-first layout: a node is followed by its subtree. Tokens with a common prefix are
 * visited once, and subtrees below a rejected byte are skipped.
 */
import type { Work } from "../../work/work.ts";

/** Bytes per sort key; the token id is packed into the same float, below this bound. */
const SORTED_BYTES = 4;
export const TOKEN_BITS = 2 ** 20;
/** Up to this length, insertion sort. */
const FEW = 16;
/** Number of buckets: a byte, or the end. */
const DIGITS = 257;
/** Tokens or bytes per slice of work. */
const PIECE = 4096;

/** Tokens by their bytes. */
export interface VocabularyTrie {
  /** For each node, its byte and the depth of its parent. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  /** First node after the subtree. */
  readonly ends: Uint32Array;
  /** Token that ends here; negative: none, or an index into `twins`. */
  readonly tokens: Int32Array;
  readonly twins: readonly (readonly number[])[];
}

/** Summaries of subtrees. */
export interface Contents {
  /** For each node, `SET_WORDS` words: one bit per printable ASCII character, `CONTROLS` and `WIDE`. */
  readonly sets: Uint32Array;
  /** Maximum number of characters that begin in the subtree. */
  readonly lengths: Uint8Array;
}

/** Words per set. The first has one bit for all control characters and one for all non-ASCII characters. */
export const SET_WORDS = 4;
export const CONTROLS = 1;
export const WIDE = 2;
const FIRST_PRINTED = 0x20;
const FIRST_WIDE = 0x80;

/** No token ends at a node. */
export const NO_TOKEN_HERE = -1;
/** Base of negative indexes into `twins`. */
export const FIRST_TWIN = -2;

/**
 * Sort tokens by their bytes.
 *
 * @param tokens Each with at least one byte; sorted in place.
 * @param pieces The bytes of every token.
 */
export function* sortByBytes(tokens: Int32Array, pieces: readonly Uint8Array[]): Work<void> {
  const keyOf = (token: number): number => {
    const piece = pieces[token] as Uint8Array;
    return (piece[0] as number) * DIGITS + (piece.length > 1 ? piece[1] as number + 1 : 0);
  };
  // Bucket sort by two bytes first, so that each sort is small.
  const starts = new Uint32Array(256 * DIGITS + 1);
  for (const [i, token] of tokens.entries()) {
    if (i % PIECE === PIECE - 1) yield;
    (starts[keyOf(token) + 1] as number)++;
  }
  for (let key = 1; key < starts.length; key++) starts[key] = (starts[key] as number) + (starts[key - 1] as number);
  yield;
  const next = starts.slice();
  const unsorted = tokens.slice();
  for (const [i, token] of unsorted.entries()) {
    if (i % PIECE === PIECE - 1) yield;
    const key = keyOf(token);
    const at = next[key] as number;
    tokens[at] = token;
    next[key] = at + 1;
  }
  const keys = new Float64Array(tokens.length);
  let done = 0;
  for (let key = 0; key < starts.length - 1; key++) {
    const [start, end] = [starts[key] as number, starts[key + 1] as number];
    if (end - start < 2 || key % DIGITS === 0) continue;
    sortRange({ tokens, pieces, keys }, { start, end, from: 2 });
    if ((done += end - start) < PIECE) continue;
    done = 0;
    yield;
  }
}

/**
 * Build a trie from sorted tokens.
 *
 * @param sorted By their bytes.
 * @param pieces The bytes of every token.
 */
export function* trieOf(sorted: Int32Array, pieces: readonly Uint8Array[]): Work<VocabularyTrie> {
  const shared = new Uint16Array(sorted.length);
  let nodes = 0;
  let before: Uint8Array = NO_BYTES;
  for (const [i, token] of sorted.entries()) {
    if (i % PIECE === PIECE - 1) yield;
    const piece = pieces[token] as Uint8Array;
    let same = 0;
    while (same < before.length && same < piece.length && piece[same] === before[same]) same++;
    shared[i] = same;
    nodes += piece.length - same;
    before = piece;
  }
  const tokens = new Int32Array(nodes).fill(NO_TOKEN_HERE);
  yield;
  const trie = {
    bytes: new Uint8Array(nodes),
    depths: new Uint16Array(nodes),
    ends: new Uint32Array(nodes),
    tokens,
    twins: [] as number[][],
  };
  /** Path to the previous node. */
  const open: number[] = [];
  let at = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (i % PIECE === PIECE - 1) yield;
    const token = sorted[i] as number;
    const piece = pieces[token] as Uint8Array;
    const same = shared[i] as number;
    while (open.length > same) trie.ends[open.pop() as number] = at;
    for (let depth = same; depth < piece.length; depth++) {
      trie.bytes[at] = piece[depth] as number;
      trie.depths[at] = depth;
      open.push(at++);
    }
    endAt(trie, open.at(-1) as number, token);
  }
  for (const node of open) trie.ends[node] = at;
  return trie;
}

/** Summarise the subtree of each node. */
export function* contentsOf({ bytes, depths }: VocabularyTrie): Work<Contents> {
  const sets = new Uint32Array(bytes.length * SET_WORDS);
  const lengths = new Uint8Array(bytes.length);
  /** Summaries so far of the nodes on the path, by depth. */
  const open = new Uint32Array(SET_WORDS * (2 ** 16 + 1));
  const longest = new Uint16Array(2 ** 16 + 1);
  for (let node = bytes.length - 1; node >= 0; node--) {
    if (node % PIECE === 0) yield;
    const depth = depths[node] as number;
    const [above, below] = [depth * SET_WORDS, (depth + 1) * SET_WORDS];
    for (let word = 0; word < SET_WORDS; word++) {
      const set = open[below + word] as number;
      sets[node * SET_WORDS + word] = set;
      open[above + word] = (open[above + word] as number) | set;
      open[below + word] = 0;
    }
    const byte = bytes[node] as number;
    const [word, bit] = byte < FIRST_PRINTED
      ? [0, CONTROLS]
      : byte < FIRST_WIDE
      ? [byte >> 5, 1 << (byte & 31)]
      : [0, WIDE];
    open[above + word] = (open[above + word] as number) | bit;
    const length = longest[depth + 1] as number;
    lengths[node] = Math.min(length, 255);
    longest[depth] = Math.max(longest[depth] as number, length + startsCharacter(byte));
    longest[depth + 1] = 0;
  }
  return { sets, lengths };
}

/** 1 for the first byte of a character, 0 for a continuation byte. */
export function startsCharacter(byte: number): number {
  return (byte & 0xc0) === 0x80 ? 0 : 1;
}

const NO_BYTES = new Uint8Array(0);

function endAt({ tokens, twins }: { tokens: Int32Array; twins: number[][] }, node: number, token: number): void {
  const there = tokens[node] as number;
  if (there === NO_TOKEN_HERE) tokens[node] = token;
  else if (there > NO_TOKEN_HERE) tokens[node] = FIRST_TWIN - (twins.push([there, token]) - 1);
  else twins[FIRST_TWIN - there]?.push(token);
}

interface Sorting {
  readonly tokens: Int32Array;
  readonly pieces: readonly Uint8Array[];
  readonly keys: Float64Array;
}

interface Range {
  readonly start: number;
  readonly end: number;
  /** Common prefix length. */
  readonly from: number;
}

/** Radix sort: a few bytes at a time, further ones only for equal prefixes. */
function sortRange({ tokens, pieces, keys }: Sorting, whole: Range): void {
  const open = [whole];
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
      // A piece sorts before its extensions.
      for (let at = from; at < from + SORTED_BYTES; at++) {
        key = key * DIGITS + (at < piece.length ? piece[at] as number + 1 : 0);
      }
      keys[i] = key * TOKEN_BITS + token;
    }
    keys.subarray(start, end).sort();
    for (let i = start; i < end; i++) tokens[i] = (keys[i] as number) % TOKEN_BITS;
    for (let first = start; first < end;) {
      const key = Math.floor((keys[first] as number) / TOKEN_BITS);
      let last = first + 1;
      while (last < end && Math.floor((keys[last] as number) / TOKEN_BITS) === key) last++;
      // A key of zero means that the pieces ended: they are equal.
      if (last - first > 1 && key % DIGITS !== 0) open.push({ start: first, end: last, from: from + SORTED_BYTES });
      first = last;
    }
  }
}

function insertionSort(tokens: Int32Array, pieces: readonly Uint8Array[], { start, end, from }: Range): void {
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

/** Sort pieces with a common prefix. */
function compare(a: Uint8Array, b: Uint8Array, from: number): number {
  const length = Math.min(a.length, b.length);
  for (let i = from; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
