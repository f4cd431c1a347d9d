/** Character sets with fast membership tests. */
import { contains, normalized } from "../language/chars.ts";
import { type CharSet, MAX_CODE_POINT } from "../rules.ts";

/** Edges of a set without non-ASCII characters. */
export const NO_WIDE: Int32Array = Int32Array.of(0x80);

let nextId = 0;

/** A set of characters. */
export class Chars {
  readonly id: number;
  /** Sorted, for binary search. */
  readonly ranges: CharSet;
  /** Its ASCII characters. */
  readonly ascii: readonly number[];
  /** Non-ASCII code points where a range begins or has ended, sorted. */
  readonly edges: Int32Array;
  readonly #ascii = new Uint32Array(4);

  constructor(ranges: CharSet) {
    this.id = nextId++;
    this.ranges = normalized(ranges);
    const ascii: number[] = [];
    for (let i = 0; i < this.ranges.length && (this.ranges[i] as number) < 0x80; i += 2) {
      const last = Math.min(this.ranges[i + 1] as number, 0x7f);
      for (let char = this.ranges[i] as number; char <= last; char++) {
        ascii.push(char);
        this.#ascii[char >> 5] = (this.#ascii[char >> 5] as number) | (1 << (char & 31));
      }
    }
    this.ascii = ascii;
    this.edges = (this.ranges.at(-1) ?? 0) < 0x80 ? NO_WIDE : this.#findEdges();
  }

  #findEdges(): Int32Array {
    const edges = new Set([0x80]);
    for (let i = 0; i < this.ranges.length; i += 2) {
      const end = (this.ranges[i + 1] as number) + 1;
      if (end > 0x80) edges.add(Math.max(this.ranges[i] as number, 0x80)).add(end);
    }
    edges.delete(MAX_CODE_POINT + 1);
    return Int32Array.from(edges);
  }

  has(char: number): boolean {
    return char < 0x80 ? ((this.#ascii[char >> 5] as number) >>> (char & 31) & 1) === 1 : contains(this.ranges, char);
  }

  /** Its only character, if there is exactly one. */
  get single(): number | undefined {
    const { ranges } = this;
    return ranges.length === 2 && ranges[0] === ranges[1] ? ranges[0] : undefined;
  }

  /** Whether it intersects a range, inclusive. */
  hasWithin(low: number, high: number): boolean {
    const { ranges } = this;
    if (contains(ranges, low)) return true;
    for (let i = 0; i < ranges.length; i += 2) if ((ranges[i] as number) > low) return (ranges[i] as number) <= high;
    return false;
  }
}
