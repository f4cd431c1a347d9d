/**
 * A rendered answer in units, with holes where a probe's own words stood: what is left is how a family writes around
 * them.
 */
import type { SpecialTokens } from "../dialect/marker.ts";
import { PROBE } from "./prober.ts";

/** A unit of text, or the place of a probe's word. */
export type Unit = string | Hole;

/** Where a probe's word stood. */
export interface Hole {
  readonly hole: "name" | "key" | "value" | "secondKey" | "secondValue" | "id";
}

const HOLES: ReadonlyMap<string, Hole> = new Map(
  ([
    [PROBE.name, "name"],
    [PROBE.other, "name"],
    [PROBE.key, "key"],
    [PROBE.value, "value"],
    [PROBE.secondKey, "secondKey"],
    [PROBE.secondValue, "secondValue"],
    [PROBE.id, "id"],
    [PROBE.otherId, "id"],
  ] as const).map(([word, hole]) => [word, { hole }]),
);
const WORDS = new RegExp(`(${[...HOLES.keys()].join("|")})`);
const NUMBER = /^\d+$/;

/** A text in units, a probe's words as holes. */
export function withHoles(text: string, specials: SpecialTokens): Unit[] {
  return text.split(WORDS).flatMap((part): Unit[] => {
    const hole = HOLES.get(part);
    return hole === undefined ? specials.units(part) : [hole];
  });
}

/** Whether a unit is the place of such a word. */
export function isHole(unit: Unit | undefined, hole: Hole["hole"]): boolean {
  return typeof unit === "object" && unit.hole === hole;
}

/** Whether a unit is a number. */
export function isNumber(unit: Unit): unit is string {
  return typeof unit === "string" && NUMBER.test(unit);
}

/** The text of units, without the holes. */
export function textUnits(units: readonly Unit[]): string {
  return units.map((unit) => typeof unit === "string" ? unit : "").join("");
}

/** Without space at the beginning. */
export function trimmedStart(units: readonly Unit[]): Unit[] {
  const from = units.findIndex((unit) => typeof unit !== "string" || unit.trim() !== "");
  return from < 0 ? [] : units.slice(from);
}

/** How many units come before a place in the text. */
export function unitsBefore(units: readonly string[], at: number): number {
  let length = 0;
  for (let i = 0; i < units.length; i++) {
    if (length >= at) return i;
    length += (units[i] as string).length;
  }
  return units.length;
}

/** How many units two lists begin with; numbers that count calls differ, and are the same. No tag is cut in two. */
export function sharedPrefix(a: readonly Unit[], b: readonly Unit[]): number {
  let length = 0;
  while (length < a.length && length < b.length && same(a[length], b[length])) length++;
  // What is common to `</a>` and `<b>` is nothing.
  const open = a.slice(0, length).lastIndexOf("<");
  return open >= 0 && !a.slice(open, length).includes(">") ? open : length;
}

/** How many units two lists end with. */
export function sharedSuffix(a: readonly Unit[], b: readonly Unit[]): number {
  let length = 0;
  while (length < a.length && length < b.length && same(a.at(-1 - length), b.at(-1 - length))) length++;
  return length;
}

function same(a: Unit | undefined, b: Unit | undefined): boolean {
  if (typeof a === "object" && typeof b === "object") return a.hole === b.hole;
  return a === b || a !== undefined && b !== undefined && isNumber(a) && isNumber(b);
}
