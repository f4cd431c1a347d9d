/** Numbers and strings printed by a format: width, precision, sign, groups of digits. */
import { Problem } from "./error.ts";
import { exponential, printNumber } from "./print.ts";
import { concat, lengthOf, rawOf, repeat, slice, type Str, unitOf } from "./text.ts";
import { float, isInt, numberOf, typeName, type Value } from "./values.ts";

/** A format specification; an empty string or `undefined` means Python's default. */
export interface Spec {
  readonly fill: Str;
  readonly align: "" | "<" | ">" | "=" | "^";
  readonly sign: "" | "+" | "-" | " ";
  readonly alternate: boolean;
  readonly group: "" | "," | "_";
  readonly width: number;
  readonly precision: number | undefined;
  readonly kind: string;
}

const MAX_PRECISION = 100;
const RADIX: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

/** A string cut to the precision and padded to the width. */
export function formatText(text: Str, spec: Spec): Str {
  const { precision } = spec;
  const cut = precision === undefined ? text : slice(text, 0, unitOf(text, precision));
  return pad(cut, spec, "<");
}

/** An integer in the base its kind names. */
export function formatInteger(value: number, spec: Spec): Str {
  const radix = RADIX[spec.kind] ?? 10;
  const digits = BigInt(Math.abs(value)).toString(radix).padStart(precisionOf(spec) ?? 0, "0");
  const prefix = spec.alternate && radix !== 10 ? `0${spec.kind}` : "";
  const whole = spec.kind === "X" ? digits.toUpperCase() : digits;
  return formatSigned(value < 0, { prefix, whole, rest: "", groupSize: radix === 10 ? 3 : 4 }, spec);
}

/** A number as `float` in the notation its kind names. */
export function formatFloat(value: number, spec: Spec): Str {
  const negative = value < 0 || Object.is(value, -0);
  const body = Number.isFinite(value) ? notation(Math.abs(value), spec) : printNumber(Math.abs(value));
  const cased = ["E", "F", "G"].includes(spec.kind) ? body.toUpperCase() : body;
  const [whole, rest] = /^(\d*)(.*)$/.exec(cased)?.slice(1) as [string, string];
  return formatSigned(negative, { prefix: "", whole, rest, groupSize: 3 }, spec);
}

/** An integer or a float, as its type and the format's kind ask for. */
export function formatNumber(value: Value, spec: Spec): Str {
  const number = numberOf(value);
  if (number === undefined) throw new Problem(`A number is required, not ${typeName(value)}`);
  const whole = isInt(value);
  if (spec.kind === "c" && whole) return pad(String.fromCodePoint(number), spec, "<");
  if (whole && ["", "d", "n", "b", "o", "x", "X"].includes(spec.kind)) {
    if (spec.precision !== undefined) throw new Problem("Precision not allowed in integer format specifier");
    return formatInteger(number, spec);
  }
  if (!["", "e", "E", "f", "F", "g", "G", "n", "%"].includes(spec.kind)) {
    throw new Problem(`Unknown format code '${spec.kind}' for object of type '${typeName(value)}'`);
  }
  return formatFloat(number, spec);
}

function precisionOf({ precision }: Spec): number | undefined {
  if (precision !== undefined && precision > MAX_PRECISION) {
    throw new Problem(`A format asks for more than ${MAX_PRECISION} digits`);
  }
  return precision;
}

function notation(value: number, spec: Spec): string {
  const given = precisionOf(spec);
  const precision = given ?? 6;
  const kind = spec.kind.toLowerCase();
  if (kind === "f") return fixed(value, precision) + (spec.alternate && precision === 0 ? "." : "");
  if (kind === "%") return `${fixed(value * 100, precision)}%`;
  if (kind === "e") return exponential(value, precision);
  if (kind === "" && given === undefined) return printNumber(float(value));
  const digits = Math.max(1, precision);
  const exponent = value === 0 ? 0 : Number(value.toExponential(digits - 1).split("e")[1]);
  const tooLarge = exponent >= digits - (kind === "" ? 1 : 0);
  const text = exponent < -4 || tooLarge ? exponential(value, digits - 1) : fixed(value, digits - 1 - exponent);
  const [mantissa, power] = text.split("e") as [string, string | undefined];
  const short = spec.alternate || !mantissa.includes(".") ? mantissa : mantissa.replace(/\.?0+$/, "");
  if (power !== undefined) return `${short}e${power}`;
  return kind === "" && !short.includes(".") ? `${short}.0` : short;
}

/** Formats a non-negative number with fixed decimals; ties are rounded to even. */
export function fixed(value: number, decimals: number): string {
  if (value >= 1e21) return BigInt(value).toString() + (decimals > 0 ? `.${"0".repeat(decimals)}` : "");
  const rounded = value.toFixed(decimals);
  const exact = value.toFixed(Math.min(100, decimals + 30));
  const point = exact.indexOf(".");
  if (point < 0 || !/^50*$/.test(exact.slice(point + 1 + decimals))) return rounded;
  const below = exact.slice(0, decimals === 0 ? point : point + 1 + decimals);
  return Number(below.at(-1)) % 2 === 0 ? below : rounded;
}

function grouped(digits: string, group: string, size: number): string {
  if (group === "") return digits;
  const first = digits.length % size || size;
  const parts = [digits.slice(0, first)];
  for (let at = first; at < digits.length; at += size) parts.push(digits.slice(at, at + size));
  return parts.join(group);
}

/** A number's prefix, integer digits and suffix. */
interface Parts {
  readonly prefix: string;
  readonly whole: string;
  readonly rest: string;
  readonly groupSize: number;
}

function formatSigned(negative: boolean, { prefix, whole, rest, groupSize }: Parts, spec: Spec): Str {
  const sign = (negative ? "-" : spec.sign === "+" || spec.sign === " " ? spec.sign : "") + prefix;
  const { group, width } = spec;
  if (spec.align !== "=") return pad(sign + grouped(whole, group, groupSize) + rest, spec, ">");
  const space = width - sign.length - rest.length;
  if (group === "" || rawOf(spec.fill) !== "0") {
    const digits = grouped(whole, group, groupSize);
    return concat(concat(sign, repeat(spec.fill, space - digits.length)), digits + rest);
  }
  // Zeros are grouped too, and none of the groups begins with a separator.
  let count = Math.max(whole.length, Math.floor(space * groupSize / (groupSize + 1)));
  while (count + Math.floor((count - 1) / groupSize) < space) count++;
  const zeros = rawOf(repeat("0", count - whole.length));
  return sign + grouped(zeros + whole, group, groupSize) + rest;
}

/** A string padded to a width. */
export function pad(text: Str, { fill, align, width }: Pick<Spec, "fill" | "align" | "width">, usual: "<" | ">"): Str {
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  const side = align === "" ? usual : align;
  const left = side === "<" ? 0 : side === "^" ? Math.floor(missing / 2) : missing;
  return concat(concat(repeat(fill, left), text), repeat(fill, missing - left));
}
