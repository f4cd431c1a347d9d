import { assert } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { compile, randomNumbers, validator, walk } from "./support.ts";

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
    const grammar = new Grammar(compile(schema, { isClosed: true }));
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
    const grammar = new Grammar(compile(schema, { isClosed: true }));
    const isValid = validator(schema);
    for (let seed = 0; seed < 20; seed++) {
      const text = walk(grammar, randomNumbers(seed));
      assert(isValid(JSON.parse(text)), text);
    }
  });
}
