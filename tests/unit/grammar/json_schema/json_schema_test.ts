import { assert, assertEquals, assertThrows } from "@std/assert";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { GrammarError, type Rules } from "../../../../src/grammar/gbnf.ts";
import { compileSchema } from "../../../../src/grammar/json_schema/json_schema.ts";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import type { Position } from "../../../../src/grammar/grammar_state.ts";
import { GrammarBuilder } from "../../../../src/grammar/grammar_builder.ts";

const encoder = new TextEncoder();
const PATH = "response_format.schema";

function compile(schema: unknown): Rules {
  const builder = new GrammarBuilder();
  return builder.build(compileSchema(schema, { builder, path: PATH }));
}

function matches(schema: unknown, text: string): boolean {
  const grammar = new Grammar(compile(schema));
  const end = grammar.advance(grammar.start, encoder.encode(text));
  return end !== undefined && grammar.canEnd(end);
}

function validator(schema: unknown): (value: unknown) => boolean {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(schema as object) as (value: unknown) => boolean;
}

function randomNumbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that bring a text nearer to its end. */
const CLOSING = encoder.encode('"}]0el,:');

/** A text of the grammar: any byte it allows, again and again; after a while those that close something first. */
function walk(grammar: Grammar, random: () => number): string {
  const bytes: number[] = [];
  let at: Position = grammar.start;
  for (;;) {
    if (grammar.canEnd(at) && (random() < 0.5 || bytes.length > 400)) break;
    const hurry = bytes.length > 200 || random() < 0.25;
    const preferred = hurry ? [...CLOSING].filter((byte) => grammar.advance(at, Uint8Array.of(byte))) : [];
    const choice = preferred.length > 0
      ? bytes.length > 200 ? preferred.slice(0, 1) : preferred
      : Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => grammar.advance(at, Uint8Array.of(byte)));
    if (choice.length === 0) {
      assert(
        grammar.canEnd(at),
        `nothing may follow ${JSON.stringify(new TextDecoder().decode(Uint8Array.from(bytes)))}`,
      );
      break;
    }
    const byte = choice[Math.floor(random() * choice.length)] as number;
    bytes.push(byte);
    at = grammar.advance(at, Uint8Array.of(byte)) as Position;
    assert(bytes.length < 20_000, "comes to no end");
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
}

const TREE = {
  $defs: {
    node: {
      type: "object",
      properties: { value: { type: "integer" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
      required: ["value"],
    },
  },
  $ref: "#/$defs/node",
};

const VALID: Readonly<Record<string, unknown>> = {
  "anything": {},
  "anything, said with true": true,
  "annotations only": { title: "T", description: "D", default: 3, examples: [1], $comment: "c", "x-own": 1 },
  "an object with all properties required": {
    type: "object",
    properties: { a: { type: "string" }, b: { type: "integer" } },
    required: ["a", "b"],
  },
  "an object with all properties optional": {
    type: "object",
    properties: { a: { type: "string" }, b: { type: "integer" }, c: { type: "null" } },
  },
  "an object with optional properties around a required one": {
    type: "object",
    properties: { a: { type: "boolean" }, b: { type: "boolean" }, c: { type: "boolean" }, d: { type: "boolean" } },
    required: ["b"],
    additionalProperties: false,
  },
  "an object with additional properties of a type": {
    type: "object",
    properties: { a: { type: "integer" }, ab: { type: "integer" }, "": { type: "null" } },
    required: ["a"],
    additionalProperties: { type: "string" },
  },
  "an object with any additional properties": {
    type: "object",
    properties: { 'é"\\': { type: "integer" } },
    additionalProperties: true,
  },
  "an object that is a map": { type: "object", additionalProperties: { type: "integer", minimum: 0, maximum: 9 } },
  "an object of nothing": { type: "object", additionalProperties: false },
  "an object with any properties": { type: "object" },
  "an object that requires what it does not describe": { type: "object", properties: {}, required: ["x", "y"] },
  "an object with odd names": JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"integer"},"constructor":{"type":"null"},"a\\nb\\u0000":{"const":1}},"required":["__proto__","constructor","a\\nb\\u0000"]}',
  ),
  "an array of anything": { type: "array" },
  "an array of integers": { type: "array", items: { type: "integer" } },
  "an array of two to four": { type: "array", items: { enum: ["x", "y"] }, minItems: 2, maxItems: 4 },
  "an array of at least three": { type: "array", items: { type: "boolean" }, minItems: 3 },
  "an array of at most one": { type: "array", items: { type: "null" }, maxItems: 1 },
  "an empty array": { type: "array", maxItems: 0 },
  "a tuple": { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }], items: false, minItems: 2 },
  "a tuple that may be short and may go on": {
    type: "array",
    prefixItems: [{ type: "string" }, { type: "integer" }],
    items: { type: "null" },
    minItems: 1,
    maxItems: 5,
  },
  "a tuple that says nothing of more": { type: "array", prefixItems: [{ const: 1 }, { const: 2 }] },
  "a tuple that goes on without end": { prefixItems: [{ const: 1 }], items: { const: 2 } },
  "an enum of all types": { enum: [null, true, -1.5, 'a"b', "ab", "a", [1, { x: [] }], { k: "v", l: {} }] },
  "an enum bound to a type": { type: ["string", "integer"], enum: ["1", 1, 1.5, null] },
  "a constant": { const: { a: [1, "é"], b: null } },
  "a string": { type: "string" },
  "a string with lengths": { type: "string", minLength: 2, maxLength: 5 },
  "a string with a least length": { minLength: 3 },
  "an empty string": { type: "string", maxLength: 0 },
  "a date": { type: "string", format: "date" },
  "a time": { type: "string", format: "time" },
  "a date and time": { type: "string", format: "date-time" },
  "a UUID": { type: "string", format: "uuid" },
  "a string of a pattern": { type: "string", pattern: '^([A-Z]\\d{2,3}|[^a-z"]+?|\\\\\\.(?:x|y)*|\\S"\\u0041\\t)$' },
  "a string of a pattern that repeats nothing": { type: "string", pattern: "^((a*)*|(b?){3})*$" },
  "a string of any characters": { pattern: "^.\\W\\w\\s\\D[\\d_-]$" },
  "a UUID as schema libraries write it": {
    type: "string",
    format: "uuid",
    pattern:
      "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12})$",
  },
  "a number": { type: "number" },
  "a number between fractions": { type: "number", minimum: -0.25, exclusiveMaximum: 1.125 },
  "a number between 0 and 1, both excluded": { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
  "a number from 0": { type: "number", minimum: 0 },
  "a number up to a negative one": { type: "number", maximum: -1.75 },
  "a number above a long fraction": { type: "number", exclusiveMinimum: 0.30000000000000004, maximum: 3 },
  "an integer": { type: "integer" },
  "an integer from 1 to 100": { type: "integer", minimum: 1, maximum: 100 },
  "an integer from -17 to 233": { type: "integer", minimum: -17, maximum: 233 },
  "an integer above -5 and below -3": { type: "integer", exclusiveMinimum: -5, exclusiveMaximum: -3 },
  "an integer from 1995": { type: "integer", minimum: 1995 },
  "an integer up to 0": { type: "integer", maximum: 0 },
  "an integer between fractions": { type: "integer", minimum: 0.5, maximum: 2.5 },
  "a boolean": { type: "boolean" },
  "null": { type: "null" },
  "several types": { type: ["string", "null", "number", "integer"] },
  "several types with what is said of each": { type: ["string", "integer"], maxLength: 2, minimum: 10, maximum: 12 },
  "anyOf": { anyOf: [{ type: "integer" }, { type: "object", properties: { a: {} }, required: ["a"] }, { const: "z" }] },
  "oneOf": { oneOf: [{ type: "string", maxLength: 3 }, { type: "null" }] },
  "anyOf beside properties": {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "string" } },
    anyOf: [{ required: ["a"] }, { required: ["b"] }],
  },
  "allOf": {
    allOf: [
      { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
      { properties: { b: { type: "string" }, a: { minimum: 3 } }, required: ["b"] },
    ],
  },
  "allOf of one reference": { $defs: { a: { type: "null" } }, allOf: [{ $ref: "#/$defs/a" }], description: "x" },
  "a reference with more beside it": {
    definitions: { base: { type: "object", properties: { id: { type: "integer" } } } },
    $ref: "#/definitions/base",
    required: ["id"],
  },
  "references to escaped names": { $defs: { "a/b~c d": { const: 7 } }, $ref: "#/$defs/a~1b~0c%20d" },
  "a recursive tree": TREE,
  "the schema itself": {
    type: "object",
    properties: { v: { type: "integer" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
    required: ["v", "next"],
  },
  "references to each other": {
    $defs: {
      a: { type: "array", items: { $ref: "#/$defs/b" } },
      b: { type: "object", properties: { a: { $ref: "#/$defs/a" } } },
    },
    $ref: "#/$defs/a",
  },
};

for (const [name, schema] of Object.entries(VALID)) {
  Deno.test(`every text of a schema's grammar parses and is valid when the schema is ${name}`, () => {
    const grammar = new Grammar(compile(schema));
    const isValid = validator(schema);
    for (let seed = 0; seed < 40; seed++) {
      const text = walk(grammar, randomNumbers(seed));
      assert(isValid(JSON.parse(text)), text);
    }
  });
}

const A = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
/** Alternatives of `oneOf` that no value fits both of. */
const APART: Readonly<Record<string, unknown>> = {
  "one alone": { oneOf: [{ type: "string" }] },
  "null or an object": {
    oneOf: [{ type: "null" }, { type: "object", properties: { a: { type: "integer" } }, required: ["a"] }],
  },
  "of different constants": { oneOf: [{ const: 1, title: "One" }, { const: "1" }, { const: true }, { const: false }] },
  "of constants that have a part in common": { oneOf: [{ const: { a: 1, b: [2] } }, { const: { a: 1, b: [3] } }] },
  "of enums without a common value": { oneOf: [{ enum: ["a", "b"] }, { enum: ["c", 1] }] },
  "of an enum and a type none of its values has": { oneOf: [{ enum: ["a", 1.5] }, { type: ["integer", "boolean"] }] },
  "of a constant and a string too short for it": { oneOf: [{ const: "auto" }, { type: "string", maxLength: 3 }] },
  "of an enum bound to a type": { oneOf: [{ type: "string", enum: ["a", 1] }, { enum: [1, 2] }] },
  "told apart by a constant, as schema libraries write it": {
    $defs: {
      Cat: {
        type: "object",
        properties: { name: { type: "string" }, kind: { const: "cat", type: "string" }, lives: { type: "integer" } },
        required: ["name", "kind", "lives"],
      },
      Dog: {
        type: "object",
        properties: { name: { type: "string" }, kind: { const: "dog", type: "string" } },
        required: ["name", "kind"],
      },
    },
    discriminator: { propertyName: "kind", mapping: { cat: "#/$defs/Cat", dog: "#/$defs/Dog" } },
    oneOf: [{ $ref: "#/$defs/Cat" }, { $ref: "#/$defs/Dog" }],
  },
  "told apart by constants not all of which are required": {
    oneOf: [
      { type: "object", properties: { kind: { const: "a" } }, required: ["kind"] },
      { type: "object", properties: { kind: { const: "b" }, x: { type: "null" } }, required: ["x"] },
    ],
  },
  "told apart by a property of a property": {
    type: "object",
    properties: { head: { type: "object", properties: { v: { type: "integer" } }, required: ["v"] } },
    required: ["head"],
    oneOf: [
      { properties: { head: { properties: { v: { const: 1 } } } } },
      { properties: { head: { properties: { v: { const: 2 } } } } },
    ],
  },
  "of objects of which each requires what the other does not write": {
    oneOf: [
      { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
      { type: "object", properties: { b: { type: "integer" } }, required: ["b"] },
    ],
  },
  "of an object that requires what the other excludes": {
    oneOf: [
      { type: "object", properties: { a: {}, b: {} }, required: ["b"], additionalProperties: true },
      { type: "object", properties: { a: {} }, additionalProperties: false },
    ],
  },
  "of an object and a map to something else": {
    oneOf: [
      { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
      { type: "object", additionalProperties: { type: "integer" } },
    ],
  },
  "of a constant and an object that requires more": {
    oneOf: [{ const: { a: 1 } }, { ...A, properties: { ...A.properties, b: {} }, required: ["a", "b"] }],
  },
  "of a constant and an object that may leave out what differs": {
    oneOf: [{ const: { k: 1 } }, { type: "object", properties: { k: { const: 2 } } }],
  },
  "of numbers on both sides of a bound": {
    oneOf: [{ type: "number", exclusiveMaximum: 5 }, { type: "number", minimum: 5 }],
  },
  "of integers between which there is none": {
    oneOf: [{ type: "integer", maximum: 2.9 }, { type: "integer", minimum: 2.1 }],
  },
  "of an integer and a fraction": { oneOf: [{ type: "integer" }, { const: 2.5 }] },
  "of strings of different lengths": {
    oneOf: [{ type: "string", maxLength: 2 }, { type: "string", minLength: 3, maxLength: 5 }],
  },
  "of arrays of different lengths": { oneOf: [{ type: "array", maxItems: 1 }, { type: "array", minItems: 2 }] },
  "of arrays of different first items": {
    oneOf: [
      { type: "array", prefixItems: [{ const: "a" }, { type: "integer" }], minItems: 1 },
      { type: "array", items: { type: "integer" } },
    ],
  },
  "of an array of a tuple's further items": {
    oneOf: [
      { type: "array", prefixItems: [{ const: 1 }], items: { type: "null" }, minItems: 2 },
      { type: "array", items: { type: "integer" }, minItems: 2 },
    ],
  },
  "of alternatives in alternatives": {
    oneOf: [{ anyOf: [{ type: "string" }, { const: 1 }] }, { oneOf: [{ type: "null" }, { const: 2 }] }],
  },
  "of trees": {
    oneOf: [
      {
        type: "object",
        properties: { left: { $ref: "#" }, right: { $ref: "#" }, kind: { const: "branch" } },
        required: ["left", "right", "kind"],
      },
      { type: "object", properties: { left: { const: 0 }, kind: { const: "leaf" } }, required: ["left", "kind"] },
    ],
  },
  "of a hundred objects told apart by their last property": {
    oneOf: Array.from({ length: 100 }, (_, kind) => {
      const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
      const properties = {
        ...Object.fromEntries(names.map((name) => [name, { type: "null" }])),
        kind: { const: kind },
      };
      return { type: "object", properties, required: [...names, "kind"] };
    }),
  },
  "of three hundred constants": { oneOf: Array.from({ length: 300 }, (_, value) => ({ const: `v${value}` })) },
};
for (const [name, schema] of Object.entries(APART)) {
  Deno.test(`every text of a schema's grammar fits one alternative when they are ${name}`, () => {
    const grammar = new Grammar(compile(schema));
    const isValid = validator(schema);
    for (let seed = 0; seed < 20; seed++) {
      const text = walk(grammar, randomNumbers(seed));
      assert(isValid(JSON.parse(text)), text);
    }
  });
}

/** Alternatives some value fits both of, or may, in either order. */
const OVERLAPPING: readonly (readonly [string, unknown, unknown])[] = [
  ["enums with a common value", { enum: ["a", "b"] }, { enum: ["b", "c"] }],
  ["constants that are equal", { const: { a: 1, b: 2 } }, { const: { b: 2, a: 1 } }],
  ["an integer and a number", { type: "integer" }, { type: "number" }],
  ["a type and anything", { type: "string" }, {}],
  ["an object and what says nothing of types", A, { properties: { b: { type: "null" } } }],
  ["a constant and its type", { const: "a" }, { type: "string" }],
  ["a truth and its type", { const: true }, { type: "boolean" }],
  ["a constant and a pattern", { const: "a" }, { type: "string", pattern: "^b$" }],
  ["a constant and a format", { const: "a" }, { type: "string", format: "date" }],
  ["an object and the same with more", A, {
    ...A,
    properties: { ...A.properties, b: { type: "null" } },
    required: ["a", "b"],
  }],
  [
    "objects told apart by what may be absent",
    { type: "object", properties: { k: { const: 1 } } },
    { type: "object", properties: { k: { const: 2 } } },
  ],
  ["an object and a map to the same", A, { type: "object", additionalProperties: { type: "integer" } }],
  [
    "objects of which one may have what the other requires",
    A,
    { type: "object", properties: { b: {} }, required: ["b"], additionalProperties: true },
  ],
  ["an object and a constant that fits it", A, { const: { a: 1, b: 2 } }],
  ["numbers that meet", { type: "number", maximum: 5 }, { type: "number", minimum: 5 }],
  ["integers that meet between fractions", { type: "integer", maximum: 3.5 }, { type: "integer", minimum: 2.5 }],
  ["numbers that meet between integers", { type: "number", minimum: 1.2, maximum: 1.6 }, {
    type: "number",
    minimum: 1.5,
    maximum: 1.8,
  }],
  ["strings of a common length", { type: "string", maxLength: 3 }, { type: "string", minLength: 3 }],
  ["a constant and a string as long", { const: "😀😀" }, { type: "string", maxLength: 2 }],
  ["arrays of a common length", { type: "array", maxItems: 2 }, { type: "array", minItems: 2 }],
  [
    "arrays that may be empty",
    { type: "array", items: { type: "integer" } },
    { type: "array", items: { type: "string" } },
  ],
  [
    "a tuple and an array that goes on",
    { type: "array", prefixItems: [{ type: "integer" }] },
    { type: "array", items: { type: "integer" }, minItems: 1 },
  ],
  [
    "a tuple and an array that is longer",
    { type: "array", prefixItems: [{ type: "integer" }] },
    { type: "array", items: { type: "integer" }, minItems: 2 },
  ],
  ["an alternative of another's alternatives", { anyOf: [{ type: "null" }, { const: 2 }] }, { enum: [1, 2] }],
];
for (const [name, one, other] of OVERLAPPING) {
  Deno.test(`a schema is refused with both alternatives when they are ${name}`, () => {
    const message = `"${PATH}.oneOf[1]" cannot be told apart from "${PATH}.oneOf[0]": ` +
      'a value may fit both, which "anyOf" allows and "oneOf" does not';
    assertEquals(assertThrows(() => compile({ oneOf: [one, other] }), GrammarError).message, message);
    assertEquals(assertThrows(() => compile({ oneOf: [other, one] }), GrammarError).message, message);
    compile({ anyOf: [one, other] });
  });
}

const NOW = { type: "object", properties: { a: { type: "integer" }, b: { type: "string" } }, required: ["b"] };
const OPEN = { properties: { ab: { const: 1 } }, additionalProperties: { const: 2 } };
/** Names that cannot be written without escapes. */
const ESCAPED = {
  properties: { 'a"b': { const: 1 }, '"': { const: 1 }, "c\\d": { const: 1 }, "\n": { const: 1 } },
  additionalProperties: { const: 2 },
};
const MATCHED: readonly (readonly [unknown, string, boolean])[] = [
  [NOW, '{"a":1,"b":""}', true],
  [NOW, '{"a": 1, "b": "x"}', true],
  [NOW, '{"b":"x"}', true],
  [NOW, '{"a":1}', false],
  [NOW, '{"b":"x","a":1}', false],
  [NOW, '{"b":"x",}', false],
  [NOW, '{"b":"x","c":1}', false],
  [NOW, '{ "b":"x"}', false],
  [NOW, '{"b":  "x"}', false],
  [NOW, '{\n"b":"x"}', false],
  [OPEN, '{"ab":1}', true],
  [OPEN, '{"ab":1, "a": 2,"abc":2,"":2,"é":2}', true],
  [OPEN, '{"x":2,"ab":2}', false],
  [OPEN, '{"ab":2}', false],
  [OPEN, '{"\\u0061b":2}', false],
  [ESCAPED, '{"a\\"b":1,"x":2}', true],
  [ESCAPED, '{"a":2,"":2,"ab":2}', true],
  [ESCAPED, '{"a"c":2}', false],
  [ESCAPED, '{"c\\":2}', false],
  [ESCAPED, '{"c\\x":2}', false],
  [ESCAPED, '{"\nd":2}', false],
  [ESCAPED, '{"\n":2}', false],
  [{}, '{"a": [1, -2.5e+3, {"b": null}], "\\u00e9\\/": "x\\ny😀"}', true],
  [{}, "[[[[[[]]]]]]", true],
  [{}, '"\\ud83d\\ude00"', false],
  [{}, '"\\ud800"', false],
  [{}, '"\\uD7ff\\uE000"', true],
  [{}, '"\n"', false],
  [{}, "01", false],
  [{}, "1e999", false],
  [{}, "-", false],
  [{ type: "integer" }, "-0", false],
  [{ type: "integer" }, "999999999999999", true],
  [{ type: "integer" }, "1.0", false],
  [{ type: "number" }, "-0.5E-7", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.5", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.499", false],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.51", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10.00", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10.01", false],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "9.999", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "-1", false],
  [{ type: "number", minimum: 0 }, "123456.789", true],
  [{ type: "number", minimum: 0 }, "-0.1", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0.0", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0.01", true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"a\\n"', true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '""', false],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"😀é"', true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"abc"', false],
  [{ type: "string", format: "date" }, '"2024-02-29"', true],
  [{ type: "string", format: "date" }, '"2023-02-29"', false],
  [{ type: "string", format: "date" }, '"2023-12-31"', true],
  [{ type: "string", format: "date" }, '"2023-06-31"', false],
  [{ type: "string", format: "date-time" }, '"2023-06-30T23:59:59.5+02:00"', true],
  [{ type: "string", format: "time" }, '"24:00:00Z"', false],
  [{ type: "string", format: "uuid" }, '"123e4567-e89b-12d3-a456-426614174000"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"aab"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"ac\\n"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"abc"', false],
  [{ pattern: "^a+(b|c\\n)?$" }, '""', false],
  [{ pattern: '^["\\\\x]{2}$' }, '"\\"\\\\"', true],
  [{ pattern: "^[^x]$" }, '"x"', false],
  [{ enum: [1, "1"] }, "1", true],
  [{ enum: [1, "1"] }, '"1"', true],
  [{ enum: [1, "1"] }, "2", false],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[1, 2]", true],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[]", false],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[1,2,3]", false],
  [TREE, '{"value": 1, "children": [{"value": 2, "children": []}, {"value": 3}]}', true],
  [TREE, '{"value": 1, "children": [{"children": []}]}', false],
];
for (const [schema, text, expected] of MATCHED) {
  const what = JSON.stringify(schema).slice(0, 90);
  Deno.test(`a schema's grammar ${expected ? "takes" : "refuses"} ${JSON.stringify(text)} when it is ${what}`, () => {
    assertEquals(matches(schema, text), expected);
  });
}

Deno.test("integers within bounds are exactly those when the bounds are any", () => {
  const random = randomNumbers(7);
  for (let i = 0; i < 200; i++) {
    const [a, b] = [0, 0].map(() => Math.floor((random() - 0.5) * 10 ** Math.ceil(random() * 4)));
    const [minimum, maximum] = [Math.min(a ?? 0, b ?? 0), Math.max(a ?? 0, b ?? 0)];
    const grammar = new Grammar(compile({ type: "integer", minimum, maximum }));
    for (let value = minimum - 15; value <= maximum + 15; value += 1 + Math.floor(random() * 3)) {
      const end = grammar.advance(grammar.start, encoder.encode(`${value}`));
      const isWithin = end !== undefined && grammar.canEnd(end);
      assertEquals(isWithin, value >= minimum && value <= maximum, `${value} from ${minimum} to ${maximum}`);
    }
  }
});

Deno.test("numbers within bounds are exactly those when the bounds are any", () => {
  const random = randomNumbers(8);
  for (let i = 0; i < 200; i++) {
    const draw = (): number =>
      Number(((random() - 0.5) * 10 ** Math.ceil(random() * 3)).toFixed(Math.floor(random() * 4)));
    const [a, b] = [draw(), draw()];
    const [minimum, exclusiveMaximum] = [Math.min(a, b), Math.max(a, b) + 0.5];
    const grammar = new Grammar(compile({ type: "number", minimum, exclusiveMaximum }));
    for (let n = 0; n < 50; n++) {
      const value = minimum + (random() * 1.4 - 0.2) * (exclusiveMaximum - minimum);
      const text = [minimum, exclusiveMaximum, value][n % 3]?.toFixed(Math.floor(random() * 6)).replace(
        /^-(?=0\.?0*$)/,
        "",
      );
      const end = grammar.advance(grammar.start, encoder.encode(text));
      const isWithin = end !== undefined && grammar.canEnd(end);
      assertEquals(
        isWithin,
        Number(text) >= minimum && Number(text) < exclusiveMaximum,
        `${text} in ${minimum}, ${exclusiveMaximum}`,
      );
    }
  }
});

function nested(depth: number): unknown {
  let schema: unknown = { type: "null" };
  for (let i = 0; i < depth; i++) schema = { type: "array", items: schema };
  return schema;
}

/** Two ways each, to each other, time and again. */
function bomb(levels: number): unknown {
  const $defs: Record<string, unknown> = { a0: { type: "object", properties: { x: {} } } };
  for (let i = 1; i <= levels; i++) {
    $defs[`a${i}`] = { required: ["x"], allOf: [{ $ref: `#/$defs/a${i - 1}` }, { $ref: `#/$defs/a${i - 1}` }] };
  }
  return { $defs, $ref: `#/$defs/a${levels}` };
}

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["false", false, `"${PATH}" allows no value`],
  ["a number", 3, `"${PATH}" must be a schema`],
  ["a list", [], `"${PATH}" must be a schema`],
  ["null", null, `"${PATH}" must be a schema`],
  ["of an unknown type", { type: "strin" }, `"${PATH}.type" must be one of`],
  ["of no type", { type: [], anyOf: [] }, `"${PATH}.anyOf" must list schemas`],
  ["with not", { not: {} }, `"${PATH}.not" is not supported`],
  ["with if", { properties: { a: { if: {} } } }, `"${PATH}.properties.a.if" is not supported`],
  ["with multipleOf", { items: { type: "number", multipleOf: 2 } }, `"${PATH}.items.multipleOf" is not supported`],
  ["with a pattern that is not bound", { pattern: "^a" }, `"${PATH}.pattern" is not supported: it must end with "$"`],
  ["with a pattern that is not bound before", { pattern: "a$" }, "it must begin with"],
  ["with a pattern of which only parts are bound", { pattern: "^a|b$" }, "must stand in a group"],
  ["with a pattern that looks ahead", { pattern: "^(?!a).$" }, '"(?!" is not supported'],
  ["with a pattern that looks back", { pattern: "^(a)\\1$" }, '"\\1" is not supported'],
  ["with a pattern of word ends", { pattern: "^a\\b$" }, '"\\b" is not supported'],
  ["with a pattern bound in the middle", { pattern: "^(a$)$" }, "elsewhere than at its end"],
  ["with a pattern that is none", { pattern: "^(a$" }, "no regular expression"],
  ["with a pattern that is a number", { pattern: 1, type: "string" }, `"${PATH}.pattern" must be a string`],
  ["with a pattern of a character that cannot be written", { pattern: "^\\x01$" }, "cannot be written"],
  ["with a pattern and a length", { pattern: "^a$", maxLength: 1 }, `"${PATH}.pattern" cannot stand beside a length`],
  ["with a pattern nested 1000 deep", { pattern: `^${"(".repeat(1000)}${")".repeat(1000)}$` }, "more than 64 deep"],
  ["with a pattern that repeats too often", { pattern: `^${"a{2000}".repeat(60)}$` }, "makes the grammar too large"],
  ["with an unknown keyword", { propertees: {} }, `"${PATH}.propertees" is not supported`],
  ["with a keyword every object has", JSON.parse('{"__proto__": {}}'), `"${PATH}.__proto__" is not supported`],
  ["with an unknown format", { type: "string", format: "email" }, `"${PATH}.format" must be one of date`],
  ["with unique items", { type: "array", uniqueItems: true }, `"${PATH}.uniqueItems" is not supported`],
  [
    "with an odd name",
    { properties: { "a b": { minimum: "x" } } },
    `"${PATH}.properties["a b"].minimum" must be a number`,
  ],
  ["with bounds that exclude all", { type: "integer", minimum: 3, maximum: 2 }, `"${PATH}" allows no number`],
  ["with bounds between integers", { type: "integer", minimum: 1.2, maximum: 1.8 }, `"${PATH}" allows no number`],
  ["with bounds too far", { type: "integer", minimum: 1e30 }, `"${PATH}" allows no number`],
  ["with a broken count", { type: "array", maxItems: -1 }, `"${PATH}.maxItems" must be a whole number`],
  ["with crossed lengths", { type: "string", minLength: 3, maxLength: 2 }, `"${PATH}.maxLength" is less`],
  ["with crossed counts", { type: "array", minItems: 3, maxItems: 2 }, `"${PATH}" allows no number of items`],
  ["with a length too large", { type: "string", maxLength: 1e9 }, `"${PATH}" repeats something more than`],
  ["with an empty enum", { enum: [] }, `"${PATH}.enum" must list values`],
  ["with an enum of another type", { type: "string", enum: [1] }, `"${PATH}.enum" has no value of the type`],
  ["with a number that cannot be written", { enum: [1, [JSON.parse("1e400")]] }, `"${PATH}.enum[1][0]" is too large`],
  ["with an enum and a length", { enum: ["a"], maxLength: 2 }, `"${PATH}.maxLength" cannot stand beside "enum"`],
  ["with half a character", { enum: ["a", "\ud800"] }, `"${PATH}.enum[1]" has half of a surrogate pair`],
  ["with a half name", { properties: { "\ud800": {} } }, "has half of a surrogate pair"],
  ["with required names that are none", { required: [1] }, `"${PATH}.required" must list names`],
  ["with properties that are none", { properties: [] }, `"${PATH}.properties" must be an object`],
  [
    "with a name required and excluded",
    { required: ["a"], additionalProperties: false },
    `"${PATH}" requires "a", which it does not allow`,
  ],
  [
    "with allOf that cannot be",
    { allOf: [{ const: 1 }, { const: 2 }] },
    `"${PATH}.allOf[1].const" and "${PATH}.allOf[0].const"`,
  ],
  ["with allOf of different types", { allOf: [{ type: "string" }, { type: "null" }] }, `"${PATH}" allows no type`],
  [
    "with allOf that closes another's object",
    { allOf: [{ properties: { a: {} }, additionalProperties: false }, { properties: { b: {} } }] },
    `"${PATH}.allOf[1].properties.b" cannot be taken together`,
  ],
  [
    "with allOf that tells items one by one and all of them",
    { allOf: [{ prefixItems: [{ type: "integer" }] }, { items: { type: "boolean" } }] },
    `"${PATH}.allOf[1].items" and "${PATH}.allOf[0].prefixItems" cannot be taken together`,
  ],
  [
    "with anyOf that tells items one by one beside all of them",
    { items: { type: "integer" }, anyOf: [{ prefixItems: [{ const: true }], items: { type: "integer" } }] },
    `"${PATH}.items" and "${PATH}.anyOf[0].prefixItems" cannot be taken together`,
  ],
  ["with a reference to nothing", { $ref: "#/$defs/a" }, `"${PATH}.$ref" refers to nothing, got "#/$defs/a"`],
  ["with a reference to what all objects have", { $ref: "#/constructor" }, `"${PATH}.$ref" refers to nothing`],
  ["with a reference elsewhere", { $ref: "https://x/y" }, `"${PATH}.$ref" must be "#" or begin with "#/"`],
  ["with a broken reference", { $ref: "#/%" }, `"${PATH}.$ref" refers to nothing`],
  ["with a reference that is none", { $ref: 1 }, `"${PATH}.$ref" must be a string`],
  ["only itself", { $ref: "#" }, `"${PATH}.$ref" refers to itself`],
  ["itself among others", { anyOf: [{ type: "null" }, { $ref: "#" }] }, `"${PATH}.anyOf[1].$ref" refers to itself`],
  [
    "a circle",
    { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, items: { $ref: "#/$defs/a" } },
    `"${PATH}.$defs.a.$ref" refers to itself`,
  ],
  ["itself and more", { $ref: "#", type: "null" }, "refers to itself"],
  [
    "without end",
    { type: "object", properties: { a: { $ref: "#" } }, required: ["a"] },
    `"${PATH}" must contain itself without end`,
  ],
  ["recursive where it is merged", {
    type: "object",
    properties: { a: { allOf: [{ $ref: "#" }, { minProperties: 1 }] } },
  }, `"${PATH}.properties.a.allOf[1].minProperties" is not supported`],
  [
    "recursive where it is merged, without end",
    { type: "object", properties: { a: { $ref: "#", required: ["b"] } } },
    "more than 64 deep",
  ],
  ["nested 100 deep", nested(100), "nests schemas more than 64 deep"],
  ["nested 50 000 deep", nested(50_000), "nests schemas more than 64 deep"],
  [
    "a constant nested 100 deep",
    { const: JSON.parse("[".repeat(100) + "]".repeat(100)) },
    "nests values more than 64 deep",
  ],
  ["a constant nested 100 000 deep", { const: JSON.parse("[".repeat(1e5) + "]".repeat(1e5)) }, "64 deep"],
  [
    "100 000 properties",
    { properties: Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`p${i}`, {}])) },
    `"${PATH}.properties.p`,
  ],
  ["100 000 keywords", Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`x-${i}`, {}])), "too large"],
  ["100 000 alternatives", { anyOf: Array.from({ length: 100_000 }, () => ({ type: "null" })) }, `"${PATH}.anyOf[`],
  ["100 000 alternatives that are one of", { oneOf: Array.from({ length: 100_000 }, () => ({})) }, `"${PATH}.oneOf[`],
  [
    "1000 alternatives that are one of",
    { oneOf: Array.from({ length: 1000 }, (_, value) => ({ const: value })) },
    'is too large to be told apart from others: "anyOf" allows it',
  ],
  [
    "alternatives of one that overlap beside what they share",
    { properties: { x: { ...NOW, oneOf: [{ required: ["a"] }, { required: ["b"] }] } } },
    `"${PATH}.properties.x.oneOf[1]" cannot be told apart from "${PATH}.properties.x.oneOf[0]"`,
  ],
  [
    "alternatives of one of which the last two overlap",
    { items: { oneOf: [{ type: "null" }, { type: "integer" }, { type: "number" }] } },
    `"${PATH}.items.oneOf[2]" cannot be told apart from "${PATH}.items.oneOf[1]"`,
  ],
  [
    "alternatives of one that are alike all the way down",
    {
      $defs: {
        a: { type: "array", prefixItems: [{ $ref: "#/$defs/a?" }, { $ref: "#/$defs/a?" }], minItems: 2 },
        b: { type: "array", prefixItems: [{ $ref: "#/$defs/b?" }, { $ref: "#/$defs/b?" }], minItems: 2 },
        "a?": { anyOf: [{ $ref: "#/$defs/a" }, { type: "null" }] },
        "b?": { anyOf: [{ $ref: "#/$defs/b" }, { type: "null" }] },
      },
      oneOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }],
    },
    `"${PATH}.oneOf[1]" cannot be told apart from "${PATH}.oneOf[0]"`,
  ],
  ["100 000 values", { enum: Array.from({ length: 100_000 }, (_, i) => i) }, `"${PATH}.enum[`],
  ["100 000 types", { type: Array.from({ length: 100_000 }, () => "null") }, `"${PATH}.type" must be one of`],
  ["100 000 required names", { required: Array.from({ length: 100_000 }, (_, i) => `${i}`) }, `"${PATH}.required"`],
  ["one value of a million characters", { const: "x".repeat(2 ** 20) }, `"${PATH}" makes the grammar too large`],
  ["one name of a million characters", { properties: { ["x".repeat(2 ** 20)]: {} } }, `"${PATH}.properties["xxx`],
  ["one reference of a million characters", { $ref: `#${"/a".repeat(2 ** 19)}` }, `"${PATH}.$ref" refers to nothing`],
  ["merged time and again", bomb(20), "too large"],
  [
    "alternatives of alternatives",
    { type: "object", anyOf: [{ $ref: "#", required: ["a"] }, { $ref: "#", required: ["b"] }] },
    `"${PATH}`,
  ],
];
for (const [name, schema, message] of REFUSED) {
  Deno.test(`a schema is refused with where and why when it is ${name}`, () => {
    assertThrows(() => compile(schema), GrammarError, message);
  });
}
