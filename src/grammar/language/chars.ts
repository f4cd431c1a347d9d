/**
 * Sets of characters: code points from and to, both inclusive, flat and in pairs, sorted and with gaps between them.
 */
import { type CharSet, MAX_CODE_POINT } from "../rules.ts";

/** Surrogates are not characters. */
export const ALL_CHARS: CharSet = [0, 0xd7ff, 0xe000, MAX_CODE_POINT];

/** Normalise a set: sorted, without overlaps. */
export function normalized(ranges: CharSet): CharSet {
  if (isNormal(ranges)) return ranges;
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i] as number, ranges[i + 1] as number]);
  const merged: number[] = [];
  for (const [from, to] of pairs.sort(([a], [b]) => a - b)) {
    const last = merged.length - 1;
    if (last > 0 && from <= (merged[last] as number) + 1) merged[last] = Math.max(merged[last] as number, to);
    else merged.push(from, to);
  }
  return merged;
}

function isNormal(ranges: CharSet): boolean {
  for (let i = 2; i < ranges.length; i += 2) if ((ranges[i] as number) <= (ranges[i - 1] as number) + 1) return false;
  return true;
}

/** Complement. */
export function complement(set: CharSet): CharSet {
  const left: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if ((set[i] as number) > next) left.push(next, (set[i] as number) - 1);
    next = (set[i + 1] as number) + 1;
  }
  if (next <= MAX_CODE_POINT) left.push(next, MAX_CODE_POINT);
  return intersection(left, ALL_CHARS);
}

/** Union. */
export function union(one: CharSet, other: CharSet): CharSet {
  return normalized([...one, ...other]);
}

/** Intersection. */
export function intersection(one: CharSet, other: CharSet): CharSet {
  const common: number[] = [];
  let [i, j] = [0, 0];
  while (i < one.length && j < other.length) {
    const from = Math.max(one[i] as number, other[j] as number);
    const [end, otherEnd] = [one[i + 1] as number, other[j + 1] as number];
    if (from <= Math.min(end, otherEnd)) common.push(from, Math.min(end, otherEnd));
    if (end < otherEnd) i += 2;
    else j += 2;
  }
  return common;
}

/** Membership. */
export function contains(set: CharSet, char: number): boolean {
  let low = 0;
  let high = set.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((set[2 * middle + 1] as number) < char) low = middle + 1;
    else high = middle;
  }
  return 2 * low < set.length && (set[2 * low] as number) <= char;
}

/** The distinct characters of a text. */
export function charsOf(text: string): CharSet {
  return normalized([...text].flatMap((char) => [char.codePointAt(0) as number, char.codePointAt(0) as number]));
}

interface Kind {
  readonly sample: number;
  readonly ranges: number[];
}

/** Partition of all characters by the sets that contain them. */
export function kindsOf(sets: readonly CharSet[]): Iterable<Kind> {
  const [only] = sets;
  if (only === undefined) return [{ sample: 0, ranges: [...ALL_CHARS] }];
  if (sets.length === 1) return [only, complement(only)].filter(({ length }) => length > 0).map(kindOf);
  // Starts and ends of the sets, sorted.
  const edges: (readonly [at: number, set: number])[] = [];
  for (const [set, ranges] of sets.entries()) {
    for (let i = 0; i < ranges.length; i += 2) {
      edges.push([ranges[i] as number, set], [(ranges[i + 1] as number) + 1, set]);
    }
  }
  edges.sort(([a], [b]) => a - b);
  const kinds = new Map<string, Kind>();
  const within = new Set<number>();
  let from = 0;
  const close = (end: number): void => {
    if (end < from) return;
    const key = [...within].sort((a, b) => a - b).join();
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { sample: from, ranges: [from, end] });
    else kind.ranges.push(from, end);
  };
  for (const [at, set] of edges) {
    if (at > from) {
      close(at - 1);
      from = at;
    }
    if (!within.delete(set)) within.add(set);
  }
  close(MAX_CODE_POINT);
  return kinds.values();
}

function kindOf(set: CharSet): Kind {
  return { sample: set[0] as number, ranges: [...set] };
}
