/** A rendered answer as units with holes in place of the probe words; the remaining units are the family's syntax. */
import type { SpecialTokens } from "../dialect/marker.ts";
import { PROBE } from "./prober.ts";

export type Unit = string | Hole;

/** Placeholder for a probe word. */
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

/** Splits text into units and replaces probe words with holes. */
export function withHoles(text: string, specials: SpecialTokens): Unit[] {
  return text.split(WORDS).flatMap((part): Unit[] => {
    const hole = HOLES.get(part);
    return hole === undefined ? specials.units(part) : [hole];
  });
}

/** Whether a unit is the hole of this probe word. */
export function isHole(unit: Unit | undefined, hole: Hole["hole"]): boolean {
  return typeof unit === "object" && unit.hole === hole;
}

export function isNumber(unit: Unit): unit is string {
  return typeof unit === "string" && NUMBER.test(unit);
}

/** Text of the units, ignoring holes. */
export function textUnits(units: readonly Unit[]): string {
  return units.map((unit) => typeof unit === "string" ? unit : "").join("");
}

/** Without whitespace units at the start. */
export function trimmedStart(units: readonly Unit[]): Unit[] {
  const from = units.findIndex((unit) => typeof unit !== "string" || unit.trim() !== "");
  return from < 0 ? [] : units.slice(from);
}

/** Number of units before a text offset. */
export function unitsBefore(units: readonly string[], at: number): number {
  let length = 0;
  for (let i = 0; i < units.length; i++) {
    if (length >= at) return i;
    length += (units[i] as string).length;
  }
  return units.length;
}

/** Number of units that spell a whole prefix, ignoring whitespace; 0 if they begin differently. */
export function lengthOfSpaced(units: readonly string[], prefix: readonly string[]): number {
  let at = 0;
  for (const unit of prefix) {
    if (unit.trim() === "") continue;
    while (units[at]?.trim() === "") at++;
    if (units[at++] !== unit) return 0;
  }
  return at;
}

/** Length of the common prefix in units. Call numbers count as equal, and a tag is never split. */
export function sharedPrefix(a: readonly Unit[], b: readonly Unit[]): number {
  let length = 0;
  while (length < a.length && length < b.length && same(a[length], b[length])) length++;
  // `</a>` and `<b>` share nothing, although both begin with `<`.
  const open = a.slice(0, length).lastIndexOf("<");
  return open >= 0 && !a.slice(open, length).includes(">") ? open : length;
}

/** Length of the common suffix in units. */
export function sharedSuffix(a: readonly Unit[], b: readonly Unit[]): number {
  let length = 0;
  while (length < a.length && length < b.length && same(a.at(-1 - length), b.at(-1 - length))) length++;
  return length;
}

function same(a: Unit | undefined, b: Unit | undefined): boolean {
  if (typeof a === "object" && typeof b === "object") return a.hole === b.hole;
  return a === b || a !== undefined && b !== undefined && isNumber(a) && isNumber(b);
}
