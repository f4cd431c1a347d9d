import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { JoinedText, LONG_TEXT_LENGTH } from "@inferd/client/protocol";
import { MAX_JSON_VALUES } from "../../../src/inference/json_bounds.ts";
import { GradualParser, TooManyValuesError } from "../../../src/ndjson/gradual_parser.ts";
import { randomFrom } from "../../support/random.ts";

type Random = () => number;

function parsed(pieces: readonly string[], maxValues?: number): unknown {
  const parser = new GradualParser(maxValues === undefined ? {} : { maxValues });
  for (const piece of pieces) parser.feed(piece);
  return parser.finish();
}

/** The value as text, in which every key shows; "refused" for what is not JSON. */
function outcome(parse: () => unknown): string {
  try {
    return JSON.stringify(parse());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return "refused";
  }
}

function cut(text: string, random: Random, most: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const length = 1 + Math.floor(random() * most);
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

const pick = <T>(random: Random, choices: readonly [T, ...T[]]): T =>
  choices[Math.floor(random() * choices.length)] ?? choices[0];

const CHARACTERS = [
  ...["a", "ü", "漢", "😀", "\ud83d", "\u2028", "\u0000", " ", '\\"', "\\\\", "\\/", "\\n", "\\t", "\\b"],
  ...["\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\uD7ff", "\\u000a", "[{,:", "\x7f"],
] as [string, ...string[]];
const SCALARS = [
  ...["0", "-0", "1", "-1.5e-7", "1e999", "0.1", "123456789012345678901234567890", "true", "false", "null"],
] as [string, ...string[]];

function stringText(random: Random): string {
  const length = random() < 0.1 ? 200 : Math.floor(random() * 8);
  return `"${Array.from({ length }, () => pick(random, CHARACTERS)).join("").replaceAll("\u0000", "0")}"`;
}

function jsonText(random: Random, depth: number): string {
  const space = pick(random, ["", "", "", " ", "\n\t", " \r "]);
  const kind = random();
  if (depth === 0 || kind < 0.3) return space + pick(random, SCALARS) + space;
  if (kind < 0.5) return space + stringText(random) + space;
  const parts = Array.from({ length: Math.floor(random() * 5) }, () => jsonText(random, depth - 1));
  if (kind < 0.75) return `${space}[${parts.join(",") || space}]${space}`;
  const key = (): string => pick(random, [stringText(random), '"a"', '"b"', '"__proto__"', '"1"', '""', '"toString"']);
  return `${space}{${parts.map((part) => `${space}${key()}${space}:${part}`).join(",") || space}}${space}`;
}

const ODD = [
  '"',
  "\\",
  ",",
  ":",
  "[",
  "]",
  "{",
  "}",
  "0",
  "-",
  "e",
  ".",
  "u",
  "\u0001",
  "\u00a0",
  " ",
  "tru",
  "\ufeff",
];

function broken(text: string, random: Random): string {
  const at = Math.floor(random() * (text.length + 1));
  const gone = random() < 0.5 ? 1 : 0;
  return text.slice(0, at) + (random() < 0.3 ? "" : pick(random, ODD as [string, ...string[]])) + text.slice(at + gone);
}

Deno.test("a text in pieces is parsed as JSON.parse does it, or refused like there, wherever it is cut", () => {
  const random = randomFrom(20);
  const seen = { values: 0, refused: 0 };
  for (let round = 0; round < 20_000; round++) {
    let text = jsonText(random, 4);
    for (let times = Math.floor(random() * 3); times > 0; times--) text = broken(text, random);
    const expected = outcome(() => JSON.parse(text));
    seen[expected === "refused" ? "refused" : "values"]++;
    const pieces = cut(text, random, pick(random, [1, 2, 7, 100]));
    assertStrictEquals(outcome(() => parsed(pieces)), expected, JSON.stringify(pieces));
  }
  // Both kinds were tried.
  assertEquals([seen.values > 5000, seen.refused > 3000], [true, true], JSON.stringify(seen));
});

Deno.test("a key named __proto__ is a key, and minus zero stays what it is", () => {
  const value = parsed(['{"__pro', 'to__":{"a":1},"b":-', "0}"]) as Record<string, unknown>;
  assertEquals(Object.keys(value), ["__proto__", "b"]);
  assertStrictEquals(Object.getPrototypeOf(value), Object.prototype);
  assertEquals(Object.is(value.b, -0), true);
});

Deno.test("as many values are parsed as may be, and one more is refused", () => {
  for (const [most, more] of [["[1,2,[]]", "[1,2,[],3]"], ['{"a":{},"b":1}', '{"a":{"b":[]}}']] as const) {
    const random = randomFrom(1);
    assertEquals(parsed(cut(most, random, 3), most.startsWith("[") ? 5 : 4), JSON.parse(most));
    assertThrows(() => parsed(cut(more, random, 3), more.startsWith("[") ? 5 : 3), TooManyValuesError);
  }
});

Deno.test("a text may be as deep as it has values", () => {
  const text = "[".repeat(MAX_JSON_VALUES - 1) + "]".repeat(MAX_JSON_VALUES - 1);
  let value = parsed(cut(text, randomFrom(1), 65_536), MAX_JSON_VALUES);
  let depth = 0;
  for (; Array.isArray(value); value = value[0]) depth++;
  assertEquals(depth, MAX_JSON_VALUES - 1);
});

Deno.test("a long text of escape sequences is parsed wherever it is cut, and a number of megabytes refused", () => {
  for (const unit of ["\\\\", '\\"', "\\u00e9", "x\\\\\\n"]) {
    const text = `"${unit.repeat(100_000)}"`;
    assertEquals(parsed(cut(text, randomFrom(3), 9973)) === JSON.parse(text), true, unit);
  }
  assertThrows(() => parsed(cut("1".repeat(2 << 20), randomFrom(4), 65_536)), SyntaxError);
});

Deno.test("keys are refused that V8 does not hash: thousands of them would be compared with each other", () => {
  const keyOf = (length: number): string => `{"${"k".repeat(length)}":1}`;
  assertEquals(parsed([keyOf(16_383)]), JSON.parse(keyOf(16_383)));
  const error = assertThrows(() => parsed(cut(keyOf(16_384), randomFrom(5), 1000)), SyntaxError);
  assertEquals(error.message, "The JSON text has a key that is too long");
});

Deno.test("only white space is told from the beginning of a value", () => {
  for (const [text, isBlank] of [[" \t\r\n", true], ["", true], [" 1", false], [' "', false], ["[", false]] as const) {
    const parser = new GradualParser();
    parser.feed(text);
    assertEquals(parser.isBlank, isBlank, text);
  }
});

Deno.test("long texts stay in parts for whoever wants that, none of which ends within a character", () => {
  const text = "\\ud83d\\ude00".repeat(LONG_TEXT_LENGTH / 2);
  for (const inParts of [true, false]) {
    const parser = new GradualParser({ inParts });
    // Pieces end within escape sequences, and between the halves of a pair.
    for (const piece of cut(`["short","${text}"]`, randomFrom(3), 400_000)) parser.feed(piece);
    const [short, long] = parser.finish() as [unknown, unknown];
    assertEquals([short, long instanceof JoinedText], ["short", inParts]);
    assert(String(long) === "\ud83d\ude00".repeat(LONG_TEXT_LENGTH / 2));
    if (long instanceof JoinedText) assert(long.parts.every((part) => part.isWellFormed()));
  }
});
