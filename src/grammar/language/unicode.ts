/** Which characters have a Unicode property, according to the platform's regular expressions. */
import { type CharSet, MAX_CODE_POINT } from "../rules.ts";
import { ALL_CHARS, intersection, normalized } from "./chars.ts";

/** Planes with assigned characters; all others are unassigned or for private use. */
const PLANES = [0, 1, 2, 3, 14];
const FIRST_UNASSIGNED = 0x40000;
const LAST_UNASSIGNED = 0xdffff;
const FIRST_PRIVATE = 0xf0000;

const known = new Map<string, CharSet>();
let characters: string | undefined;

/**
 * The characters with a property.
 *
 * @param property As an expression with the flag `u` names it, like `\p{L}`.
 */
export function charsWith(property: string): CharSet {
  return known.getOrInsertComputed(property, find);
}

function find(property: string): CharSet {
  const ranges: number[] = [];
  for (const [run] of allCharacters().matchAll(new RegExp(`${property}+`, "gu"))) {
    const tail = run.slice(-2);
    const last = tail.codePointAt(0) as number;
    ranges.push(run.codePointAt(0) as number, last > 0xffff ? last : tail.codePointAt(tail.length - 1) as number);
  }
  const has = (char: number): boolean => new RegExp(property, "u").test(String.fromCodePoint(char));
  if (has(FIRST_UNASSIGNED)) ranges.push(FIRST_UNASSIGNED, LAST_UNASSIGNED);
  if (has(FIRST_PRIVATE)) ranges.push(FIRST_PRIVATE, MAX_CODE_POINT);
  return intersection(normalized(ranges), ALL_CHARS);
}

/** In order, so that characters that follow each other are one match. */
function allCharacters(): string {
  if (characters !== undefined) return characters;
  const parts: string[] = [];
  for (const plane of PLANES) {
    for (let from = plane << 16; from < (plane + 1) << 16; from += 256) {
      if (from >= 0xd800 && from <= 0xdfff) continue;
      parts.push(String.fromCodePoint(...Array.from({ length: 256 }, (_, i) => from + i)));
    }
  }
  return characters = parts.join("");
}
