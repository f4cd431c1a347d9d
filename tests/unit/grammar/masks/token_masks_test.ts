/** Masks against asking about each token: with tokens that begin, leave, escape and cut strings in all ways. */
import { assert, assertEquals } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { GrammarBuilder } from "../../../../src/grammar/grammar_builder.ts";
import type { Position } from "../../../../src/grammar/grammar_state.ts";
import { compileSchema } from "../../../../src/grammar/json_schema/json_schema.ts";
import { parseGbnf } from "../../../../src/grammar/gbnf.ts";
import { VocabularyIndex } from "../../../../src/grammar/vocabulary/vocabulary_index.ts";
import { finish } from "../../../../src/work/work.ts";

const encoder = new TextEncoder();
const PARTS = [
  "a",
  "b",
  "ab",
  "Z",
  "7",
  " ",
  "é",
  "😀",
  "\ue000",
  '"',
  "\\",
  "n",
  "u00",
  "'",
  "<",
  ",",
  ":",
  "}",
  "]",
  "\n",
  "\t",
];
const TEXTS = [
  ...PARTS,
  ...PARTS.flatMap((one) => PARTS.map((other) => one + other)),
  ...[
    "name",
    'name"',
    '"name',
    '": "',
    '", "',
    '"}',
    "\\u00e9",
    '\\"',
    'ab\\"',
    'é"',
    "😀é",
    "true",
    "null",
    "-12",
    "x".repeat(40),
    // Long ones, that go on with a string, end it, or count as fewer characters than they have.
    "x".repeat(41),
    "é".repeat(30),
    "x".repeat(21) + '"',
    "x".repeat(38) + '",',
    "x".repeat(39) + '",',
    "\\n".repeat(12),
    "\\n".repeat(40),
    '"' + "x".repeat(40),
    '"' + "x".repeat(41),
    "abababab",
    "ab".repeat(11),
    "ab".repeat(15) + 'a"',
    "ab".repeat(20),
    "ab".repeat(20) + '"',
    "[ab]".repeat(6) + "[",
    "\\\\a".repeat(8),
    "nameab7",
    "éé😀é é",
    "\u2028",
    "a\u2029",
  ],
];
const PIECES = [
  ...TEXTS.map((text) => encoder.encode(text)),
  // Parts of characters: the beginning, the end, neither, and what no character begins with.
  ...[[0xc3], [0xf0, 0x9f], [0x61, 0xe2, 0x82], [0xa9], [0x61, 0xa9], [0xc0], [0xed, 0xa0], [0xee], [0xf4, 0x90], [
    0x22,
    0xc3,
  ]]
    .map((bytes) => Uint8Array.from(bytes)),
];
const END = PIECES.length;

function indexOf(): VocabularyIndex {
  return finish(VocabularyIndex.of(PIECES.length + 1, {
    piece: (token) => PIECES[token] ?? new Uint8Array(0),
    ends: (token) => token === END,
  }));
}

const OBJECT = { type: "object", properties: { name: { type: "string" }, ab: { type: "string", maxLength: 4 } } };
const SCHEMAS: readonly (readonly [unknown, string])[] = [
  [{ type: "string" }, '"é ab\\n😀"'],
  [{ type: "string", minLength: 2, maxLength: 5 }, '"ab😀7"'],
  [{ type: "string", pattern: "^[a-z]+$" }, '"abab"'],
  [{ type: "string", pattern: "^[^b]*$" }, '"aa é\'<"'],
  // Anything, with something in it somewhere.
  [{ type: "string", pattern: "name|Z7" }, '"ab nZname 😀"'],
  [{ type: "string", pattern: "é" }, '"ab é😀"'],
  // Not the ends of lines.
  [{ type: "string", pattern: "^a.+$" }, '"ab 😀"'],
  [{ type: "string", pattern: "^[\\p{L} ]+$" }, '"ab é"'],
  // Bounded lengths, with and without ways around the bound.
  [{ type: "string", minLength: 4, maxLength: 9 }, '"ab😀7 éab"'],
  [{ type: "string", maxLength: 40 }, '"ab😀7 éab\\n\\u00e9"'],
  [{ type: "string", maxLength: 21 }, '"ab"'],
  [{ type: "string", minLength: 1, maxLength: 40 }, '"ab"'],
  [{ type: "string", minLength: 3, maxLength: 30 }, '"abab"'],
  [{ anyOf: [{ type: "string", maxLength: 25 }, { type: "string", minLength: 30, maxLength: 40 }] }, '"abab"'],
  [{ anyOf: [{ type: "string", maxLength: 30 }, { enum: ["x", "y".repeat(40)] }] }, '"xab"'],
  [{ type: "string", pattern: "^[a-z]*$", maxLength: 40 }, '"abab"'],
  [{ type: "string", pattern: "^[a-z\\n]{2,}$", maxLength: 40 }, '"ab\\nab"'],
  [{ type: "string", pattern: "^(ab)*$", maxLength: 31 }, '"abab"'],
  [{ type: "string", pattern: "^(ab){3,}7?$", maxLength: 41 }, '"abababab7"'],
  [{ type: "string", pattern: "^a.*bab$", minLength: 1, maxLength: 45 }, '"ab Zbab"'],
  [{ anyOf: [{ pattern: "^(ab)*$", maxLength: 31 }, { maxLength: 25 }], type: "string" }, '"abab"'],
  [{ type: "string", format: "regex", maxLength: 31 }, '"a[b7]+\\\\n|(Z)"'],
  [{ type: "array", items: { type: "string", maxLength: 30 }, maxItems: 3 }, '["ab", "b"]'],
  [
    { type: "object", propertyNames: { maxLength: 30 }, additionalProperties: { maxLength: 40 } },
    '{"ab": "b", "Z": 7}',
  ],
  [{ type: "string", pattern: "^([a-mo-zA-Z]|n[a-zA-Z]{3}[0-9])*$" }, '"abnabb7aaaaaaa"'],
  [{ type: "string", pattern: "^[^é]{3,8}(é|$)" }, '"ab 7Zé"'],
  [{ type: "string", format: "email" }, '"ab.ab@name.ab"'],
  [{ type: "string", format: "uri" }, '"ab:ab"'],
  [{ type: "object", patternProperties: { "^n": { type: "string" }, b$: { const: "ab" } } }, '{"ab": "ab", "na": "Z"}'],
  [{ type: "object", patternProperties: { a: true }, additionalProperties: false }, '{"Za": 7}'],
  [OBJECT, '{"name": "ab", "ab": "Zé", "other": [1, "a"]}'],
  [{ ...OBJECT, minProperties: 1 }, '{"b": "a", "name": "\ue000"}'],
  [{ type: "object", additionalProperties: { enum: ["name", "ab"] } }, '{"Z 7": "name"}'],
  [{}, '{"a": ["b", {"é": null}], "n": -12}'],
];

function assertMasks(grammar: Grammar, text: string): void {
  const index = indexOf();
  let at: Position | undefined = grammar.start;
  const places: Position[] = [];
  for (const byte of encoder.encode(text)) {
    places.push(at);
    at = grammar.advance(at, Uint8Array.of(byte));
    assert(at !== undefined, text);
  }
  for (const place of [...places, at]) {
    const allowed = finish(grammar.allowed(place, index)).bits();
    const told = Array.from(
      { length: index.size },
      (_, token) => ((allowed[token >> 5] ?? 0) >>> (token & 31) & 1) === 1,
    );
    const asked = told.map((_, token) =>
      token === END ? grammar.canEnd(place) : grammar.advance(place, PIECES[token] as Uint8Array) !== undefined
    );
    assertEquals(told, asked);
  }
}

Deno.test("masks are what asking about each token says, everywhere in values of all kinds", () => {
  for (const [schema, text] of SCHEMAS) {
    const builder = new GrammarBuilder();
    assertMasks(new Grammar(builder.build(compileSchema(schema, { builder, path: "schema" }))), text);
  }
});

Deno.test("masks are what asking about each token says where strings are not JSON's", () => {
  assertMasks(
    new Grammar(parseGbnf(String.raw`root ::= "f(" arg ("," " "? arg)* ")"
arg ::= "'" [^'\\]* "'" | [a-z]+`)),
    "f('a \"b',ab, '<é')",
  );
  assertMasks(new Grammar(parseGbnf(`root ::= "<p>" [^<]* "</p>"`)), `<p>a "b"\n7</p>`);
});

Deno.test("keys that are not declared may have any characters", () => {
  const builder = new GrammarBuilder();
  const schema = { type: "object", properties: { a: {}, b: { type: "string" } }, minProperties: 1 };
  const grammar = new Grammar(builder.build(compileSchema(schema, { builder, path: "schema" })));
  for (const key of ["é", "\ud7ff", "\ue000", "😀", "\u{10ffff}"]) {
    const end = grammar.advance(grammar.start, encoder.encode(JSON.stringify({ [key]: 1 }).replace(":", ": ")));
    assert(end !== undefined && grammar.canEnd(end), key);
  }
});

Deno.test("masks of a pattern of many states are found in small pieces, with a bound and without, whatever the vocabulary", () => {
  const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
  let random = 1;
  const next = (): string => letters[(random = (random * 1103515245 + 12345) % 2 ** 31) % letters.length] as string;
  const words = Array.from({ length: 30_000 }, () => encoder.encode(Array.from({ length: 10 }, next).join("")));
  const index = finish(VocabularyIndex.of(words.length, {
    piece: (token) => words[token] ?? new Uint8Array(0),
    ends: () => false,
  }));
  for (const bound of [{}, { maxLength: 200 }]) {
    const builder = new GrammarBuilder();
    const schema = { type: "string", format: "regex", ...bound };
    const grammar = new Grammar(builder.build(compileSchema(schema, { builder, path: "schema" })));
    const place = grammar.advance(grammar.start, encoder.encode('"[0'));
    assert(place !== undefined);
    const before = grammar.work;
    const work = grammar.allowed(place, index);
    let longest = 0;
    for (let from = before; !work.next().done; from = grammar.work) longest = Math.max(longest, grammar.work - from);
    assert(longest < 40_000, `${longest} stacks in a piece`);
    assert(grammar.work - before < 1_500_000, `${grammar.work - before} stacks`);
  }
});
