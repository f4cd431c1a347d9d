/**
 * JSON's numbers between two bounds, as rules over their digits. What is written is never more exact than a 64-bit float,
 * so that a number that is within the bounds as text is also within them once it is read.
 */
import type { GrammarSymbol } from "../gbnf.ts";
import type { GrammarBuilder } from "../grammar_builder.ts";

/** Bounds of a number; absent ones are as far away as numbers are written. */
export interface Bounds {
  readonly least?: number;
  /** The least does not count itself. */
  readonly above?: boolean;
  readonly most?: number;
  readonly below?: boolean;
}

/** Digits that a float holds for certain. */
const EXACT_DIGITS = 15;
const LARGEST = 10n ** BigInt(EXACT_DIGITS) - 1n;
/** Whole parts up to a limit, and how many decimals stand behind them. */
const DECIMALS: readonly (readonly [from: bigint, to: bigint, places: number])[] = [
  [0n, 999_999n, 9],
  [1_000_000n, 999_999_999n, 6],
  [1_000_000_000n, LARGEST, 0],
];

/**
 * Any number JSON can write, exponents included.
 *
 * @param builder Where its rules go.
 * @returns What matches one.
 */
export function anyNumber(builder: GrammarBuilder): GrammarSymbol[] {
  return [
    ...builder.optional(builder.text("-")),
    ...builder.choice([
      builder.text("0"),
      [...digit(builder, "1", "9"), ...builder.repeat(digit(builder), 0, EXACT_DIGITS - 1)],
    ]),
    ...builder.optional([...builder.text("."), ...builder.repeat(digit(builder), 1, EXACT_DIGITS)]),
    // Two digits: a larger exponent could be read as infinite.
    ...builder.optional([
      ...builder.chars([0x45, 0x45, 0x65, 0x65]),
      ...builder.optional(builder.chars([0x2b, 0x2b, 0x2d, 0x2d])),
      ...builder.repeat(digit(builder), 1, 2),
    ]),
  ];
}

/**
 * Whole numbers within bounds, without a decimal point or an exponent.
 *
 * @param builder Where its rules go.
 * @param bounds The bounds.
 * @returns What matches one, or `undefined` if there is none.
 */
export function integersWithin(builder: GrammarBuilder, bounds: Bounds): GrammarSymbol[] | undefined {
  return signed(builder, bounds, (from, to, scaled) => {
    const [low, high] = scaled(from, to, 0);
    return low > high ? [] : wholes(builder, low, high);
  });
}

/**
 * Numbers within bounds, without an exponent.
 *
 * @param builder Where its rules go.
 * @param bounds The bounds.
 * @returns What matches one, or `undefined` if there is none.
 */
export function numbersWithin(builder: GrammarBuilder, bounds: Bounds): GrammarSymbol[] | undefined {
  return signed(builder, bounds, (from, to, scaled) =>
    DECIMALS.flatMap(([first, last, places]) => {
      const unit = 10n ** BigInt(places);
      const [low, high] = scaled(max(from, first), min(to, last), places);
      if (low > high) return [];
      const [lowWhole, highWhole] = [low / unit, high / unit];
      const [lowRest, highRest] = [padded(low % unit, places), padded(high % unit, places)];
      const [none, all] = ["0".repeat(places), "9".repeat(places)];
      const part = (a: bigint, b: bigint, decimals: GrammarSymbol[]): GrammarSymbol[][] =>
        a > b ? [] : wholes(builder, a, b).map((symbols) => [...symbols, ...decimals]);
      if (lowWhole === highWhole) return part(lowWhole, highWhole, fraction(builder, lowRest, highRest));
      return [
        ...part(lowWhole, lowWhole, fraction(builder, lowRest, all)),
        ...part(lowWhole + 1n, highWhole - 1n, fraction(builder, none, all)),
        ...part(highWhole, highWhole, fraction(builder, none, highRest)),
      ];
    }));
}

/** Magnitudes within a range of whole parts, as far as the bounds reach, as alternatives. */
type Magnitudes = (from: bigint, to: bigint, scaled: Scaled) => GrammarSymbol[][];
/** The same range cut to the bounds, both ends in units of the last decimal place. */
type Scaled = (from: bigint, to: bigint, places: number) => [low: bigint, high: bigint];

/** Zero and above, and below with a sign; minus zero is not written. */
function signed(builder: GrammarBuilder, bounds: Bounds, magnitudes: Magnitudes): GrammarSymbol[] | undefined {
  const { least = -Infinity, above = false, most = Infinity, below = false } = bounds;
  const cut = (low: Bound, high: Bound): Scaled => (from, to, places) => {
    const unit = 10n ** BigInt(places);
    return [max(from * unit, ceiling(low, places)), min((to + 1n) * unit - 1n, -ceiling(negative(high), places))];
  };
  const positive = magnitudes(0n, LARGEST, cut({ value: least, open: above }, { value: most, open: below }));
  // Mirrored, and above zero.
  const top: Bound = { value: -least, open: above };
  const bottom: Bound = most < 0 ? { value: -most, open: below } : { value: 0, open: true };
  const minus = magnitudes(0n, LARGEST, cut(bottom, top)).map((symbols) => [...builder.text("-"), ...symbols]);
  const all = [...positive, ...minus];
  return all.length === 0 ? undefined : builder.choice(all);
}

interface Bound {
  readonly value: number;
  readonly open: boolean;
}

function negative({ value, open }: Bound): Bound {
  return { value: -value, open };
}

/** The least whole number of units of the last place that is not below a bound. */
function ceiling({ value, open }: Bound, places: number): bigint {
  const beyond = (LARGEST + 1n) * 10n ** BigInt(places);
  if (Math.abs(value) > Number(LARGEST)) return value > 0 ? beyond : -beyond;
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  const [whole = "", decimals = ""] = mantissa.split(".");
  const digits = BigInt(whole + decimals);
  const shift = places + Number(exponent) - decimals.length;
  if (shift >= 0) return digits * 10n ** BigInt(shift) + (open ? 1n : 0n);
  const unit = 10n ** BigInt(-shift);
  const floor = digits / unit - (digits % unit < 0n ? 1n : 0n);
  return floor * unit === digits && !open ? floor : floor + 1n;
}

/** Whole numbers of a range that does not go below zero, as alternatives. */
function wholes(builder: GrammarBuilder, from: bigint, to: bigint): GrammarSymbol[][] {
  const found: GrammarSymbol[][] = [];
  if (from === 0n) found.push(builder.text("0"));
  const low = String(max(from, 1n));
  const high = String(to);
  if (to < 1n) return found;
  /** The last length of which all numbers are within. */
  const lastFull = /^9+$/.test(high) ? high.length : high.length - 1;
  for (let length = low.length; length <= high.length; length++) {
    const first = length === low.length ? low : `1${"0".repeat(length - 1)}`;
    if (lastFull >= length && /^10*$/.test(first)) {
      // Lengths with all their numbers are one alternative.
      found.push([...digit(builder, "1", "9"), ...builder.repeat(digit(builder), length - 1, lastFull - 1)]);
      length = lastFull;
    } else {
      found.push(sameLength(builder, first, length === high.length ? high : "9".repeat(length)));
    }
  }
  return found;
}

/** Numbers of so many digits from one to another. */
function sameLength(builder: GrammarBuilder, from: string, to: string): GrammarSymbol[] {
  if (/^0*$/.test(from) && /^9*$/.test(to)) return builder.repeat(digit(builder), from.length, from.length);
  return oneOf(
    builder,
    split(from, to).map(([first, last, low, high]) => [
      ...digit(builder, first, last),
      ...sameLength(builder, low, high),
    ]),
  );
}

/** A decimal point and what follows, or nothing; trailing zeros may be left out. */
function fraction(builder: GrammarBuilder, from: string, to: string): GrammarSymbol[] {
  if (from === "") return [];
  const point = [...builder.text("."), ...decimals(builder, from, to)];
  return /^0*$/.test(from) ? builder.optional(point) : point;
}

/** Decimals up to so many places from one to another, at least one of them. */
function decimals(builder: GrammarBuilder, from: string, to: string): GrammarSymbol[] {
  if (/^0*$/.test(from) && /^9*$/.test(to)) return builder.repeat(digit(builder), 1, from.length);
  return oneOf(
    builder,
    split(from, to).map(([first, last, low, high]) => {
      const head = digit(builder, first, last);
      if (low === "") return head;
      const rest = decimals(builder, low, high);
      return [...head, ...(/^0*$/.test(low) ? builder.optional(rest) : rest)];
    }),
  );
}

/** Ranges of the first digit, each with the range of the digits behind it. */
function split(from: string, to: string): (readonly [first: string, last: string, low: string, high: string])[] {
  const [a, b] = [from[0] as string, to[0] as string];
  const [lowRest, highRest] = [from.slice(1), to.slice(1)];
  if (a === b) return [[a, b, lowRest, highRest]];
  const [none, all] = ["0".repeat(lowRest.length), "9".repeat(lowRest.length)];
  const first = lowRest === none ? Number(a) : Number(a) + 1;
  const last = highRest === all ? Number(b) : Number(b) - 1;
  return [
    ...(lowRest === none ? [] : [[a, a, lowRest, all] as const]),
    ...(first > last ? [] : [[String(first), String(last), none, all] as const]),
    ...(highRest === all ? [] : [[b, b, none, highRest] as const]),
  ];
}

function oneOf(builder: GrammarBuilder, alternatives: readonly GrammarSymbol[][]): GrammarSymbol[] {
  return alternatives.length === 1 ? alternatives[0] as GrammarSymbol[] : builder.choice(alternatives);
}

function digit(builder: GrammarBuilder, from = "0", to = "9"): GrammarSymbol[] {
  return builder.chars([from.charCodeAt(0), to.charCodeAt(0)]);
}

function padded(value: bigint, places: number): string {
  return places === 0 ? "" : String(value).padStart(places, "0");
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
