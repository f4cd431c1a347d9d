import { assertEquals } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { compile, encoder, validator } from "./support.ts";

/** A keyword by itself or beside others, values that fit and values that do not. */
interface Case {
  readonly schema: unknown;
  readonly fit: readonly unknown[];
  readonly unfit: readonly unknown[];
}

const KEYWORDS: Readonly<Record<string, Case>> = {
  "patternProperties": {
    schema: { type: "object", patternProperties: { "^x-": { type: "integer" } } },
    fit: [{}, { "x-a": 1 }, { a: "b" }, { a: 1, "x-": 2 }],
    unfit: [{ "x-a": "b" }],
  },
  "patternProperties that overlap": {
    schema: {
      type: "object",
      properties: { ab: { maximum: 5 } },
      patternProperties: { "a": { type: "integer" }, "b$": { minimum: 3 } },
      additionalProperties: false,
    },
    fit: [{ ab: 4 }, { xb: 3.5 }, { a: -1 }, { bab: 3 }],
    unfit: [{ ab: 6 }, { ab: 2 }, { ab: 3.5 }, { xb: 1 }, { bab: 2 }, { c: 1 }],
  },
  "additionalItems": {
    schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "array",
      items: [{ type: "integer" }, { type: "string" }],
      additionalItems: { type: "null" },
    },
    fit: [[], [1], [1, "a"], [1, "a", null, null]],
    unfit: [["a"], [1, 2], [1, "a", 2]],
  },
  "additionalItems that are none": {
    schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      items: [{ type: "integer" }],
      additionalItems: false,
    },
    fit: [[], [1], "no list"],
    unfit: [[1, 2]],
  },
  "minProperties and maxProperties": {
    schema: {
      type: "object",
      properties: { a: {}, b: {}, c: {} },
      additionalProperties: false,
      minProperties: 2,
      maxProperties: 2,
    },
    fit: [{ a: 1, b: 2 }, { a: 1, c: 2 }, { c: 1, b: 2 }],
    unfit: [{}, { a: 1 }, { a: 1, b: 2, c: 3 }],
  },
  "minProperties of a map": {
    schema: { type: "object", additionalProperties: { type: "integer" }, minProperties: 1 },
    fit: [{ a: 1 }, { a: 1, b: 2 }],
    unfit: [{}, { a: "b" }],
  },
  "dependentRequired": {
    schema: { type: "object", properties: { a: {}, b: {} }, dependentRequired: { a: ["b", "c"] } },
    fit: [{}, { b: 1 }, { a: 1, b: 1, c: 1 }, { c: 1, b: 1, a: 1 }],
    unfit: [{ a: 1 }, { a: 1, b: 1 }, { a: 1, c: 1 }],
  },
  "dependentSchemas": {
    schema: { type: "object", dependentSchemas: { a: { properties: { b: { type: "integer" } }, required: ["b"] } } },
    fit: [{}, { b: "x" }, { a: 0, b: 1 }],
    unfit: [{ a: 0 }, { a: 0, b: "x" }],
  },
  "dependencies": {
    schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      dependencies: { a: ["b"], c: { properties: { b: { const: 1 } } } },
    },
    fit: [{}, { a: 1, b: 2 }, { c: 1 }, { c: 1, b: 1 }],
    unfit: [{ a: 1 }, { c: 1, b: 2 }],
  },
  "propertyNames": {
    schema: { type: "object", propertyNames: { pattern: "^[a-z]+$", maxLength: 3 } },
    fit: [{}, { a: 1 }, { abc: 1, b: 2 }],
    unfit: [{ A: 1 }, { abcd: 1 }, { "": 1 }],
  },
  "uniqueItems": {
    schema: { type: "array", items: { enum: ["a", "b", 3] }, uniqueItems: true },
    fit: [[], ["a"], ["b", "a"], [3, "a", "b"]],
    unfit: [["a", "a"], ["b", "a", "b"], [3, 3]],
  },
  "uniqueItems with counts": {
    schema: { type: "array", items: { type: ["boolean", "null"] }, uniqueItems: true, minItems: 2, maxItems: 3 },
    fit: [[true, false], [null, true, false]],
    unfit: [[true], [true, true], [true, false, null, true]],
  },
  "multipleOf": {
    schema: { type: "integer", multipleOf: 7, minimum: 20 },
    fit: [21, 28, 7000],
    unfit: [20, 22, 14, 0],
  },
  "multipleOf of a fraction": {
    schema: { type: "number", multipleOf: 0.01 },
    fit: [0, 0.5, 1.25, -3.01, 12],
    unfit: [0.005, 1.001],
  },
  "multipleOf excluded": {
    schema: { type: "integer", not: { multipleOf: 2 } },
    fit: [1, -3, 99],
    unfit: [0, 2, -4],
  },
  "contains": {
    schema: { type: "array", contains: { type: "integer" } },
    fit: [[1], ["a", 1], [1, "b", 2]],
    unfit: [[], ["a"], [1.5]],
  },
  "contains with its counts": {
    schema: { type: "array", contains: { const: 1 }, minContains: 2, maxContains: 3, maxItems: 6 },
    fit: [[1, 1], [1, 0, 1], [1, 1, 1, "a"]],
    unfit: [[], [1], [1, 0], [1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0]],
  },
  "contains of none": {
    schema: { type: "array", contains: { type: "string" }, minContains: 0, maxContains: 1 },
    fit: [[], [1], ["a"], ["a", 1]],
    unfit: [["a", "b"]],
  },
  "not of a type": { schema: { not: { type: ["string", "object"] } }, fit: [1, null, [], true], unfit: ["a", {}] },
  "not of a constant": { schema: { type: "string", not: { const: "a" } }, fit: ["", "b", "aa"], unfit: ["a"] },
  "not of an enum": {
    schema: { not: { enum: [1, "a", null, [2]] } },
    fit: [2, "b", [], [1]],
    unfit: [1, "a", null, [2]],
  },
  "not of required": {
    schema: { type: "object", not: { required: ["a", "b"] } },
    fit: [{}, { a: 1 }, { b: 1, c: 1 }],
    unfit: [{ a: 1, b: 1 }, { b: 1, c: 2, a: 1 }],
  },
  "not of properties": {
    schema: { type: "object", properties: { a: { type: "integer" } }, not: { properties: { a: { const: 1 } } } },
    fit: [{ a: 2 }],
    unfit: [{}, { a: 1 }, { a: "x" }],
  },
  "if, then and else": {
    schema: {
      type: "object",
      properties: { kind: { enum: ["a", "b"] }, size: {} },
      required: ["kind"],
      if: { properties: { kind: { const: "a" } } },
      then: { properties: { size: { type: "integer" } }, required: ["size"] },
      else: { properties: { size: { type: "string" } } },
    },
    fit: [{ kind: "a", size: 1 }, { kind: "b" }, { kind: "b", size: "x" }, { size: 1, kind: "a" }],
    unfit: [{ kind: "a" }, { kind: "a", size: "x" }, { kind: "b", size: 1 }, { size: "x", kind: "a" }],
  },
  "if without else": {
    schema: { if: { type: "string" }, then: { maxLength: 1 } },
    fit: [1, "a", []],
    unfit: ["ab"],
  },
  "oneOf that overlaps": {
    schema: { oneOf: [{ type: "number", maximum: 5 }, { type: "number", minimum: 3 }] },
    fit: [1, 2.5, 6],
    unfit: [3, 4, 5, "a"],
  },
  "oneOf of required names": {
    schema: { type: "object", properties: { a: {}, b: {} }, oneOf: [{ required: ["a"] }, { required: ["b"] }] },
    fit: [{ a: 1 }, { b: 1 }, { c: 1, b: 2 }],
    unfit: [{}, { a: 1, b: 1 }],
  },
  "$anchor": {
    schema: { $defs: { x: { $anchor: "num", type: "integer" } }, items: { $ref: "#num" } },
    fit: [[1], []],
    unfit: [["a"]],
  },
  "$id": {
    schema: {
      $id: "https://example.com/root.json",
      $defs: { x: { $id: "other.json", type: "integer" } },
      type: "array",
      items: { $ref: "https://example.com/other.json" },
    },
    fit: [[1]],
    unfit: [["a"], 1],
  },
  "$ref with other keywords beside it": {
    schema: { $defs: { n: { type: "number" } }, properties: { a: { $ref: "#/$defs/n", minimum: 3 } } },
    fit: [{ a: 3 }, {}],
    unfit: [{ a: 2 }, { a: "x" }],
  },
  "$ref into properties": {
    schema: { type: "object", properties: { a: { type: "integer" }, b: { $ref: "#/properties/a" } } },
    fit: [{ a: 1, b: 2 }],
    unfit: [{ b: "x" }],
  },
  "$ref to the whole": {
    schema: { type: "object", properties: { a: { $ref: "#" } }, additionalProperties: false },
    fit: [{}, { a: { a: {} } }],
    unfit: [{ a: 1 }, { a: { b: 1 } }],
  },
  "definitions": {
    schema: { definitions: { "a/b": { type: "null" } }, anyOf: [{ $ref: "#/definitions/a~1b" }, { const: 1 }] },
    fit: [null, 1],
    unfit: [2],
  },
  "const beside other keywords": {
    schema: { anyOf: [{ const: 3, minimum: 2 }, { const: 1, minimum: 2 }, { const: "ab", maxLength: 2 }] },
    fit: [3, "ab"],
    unfit: [1, "a"],
  },
  "enum filtered": {
    schema: { enum: [1, 2, 3, "a", "bb", null], type: ["integer", "string"], minimum: 2, minLength: 2 },
    fit: [2, 3, "bb"],
    unfit: [1, "a", null],
  },
  "enum of objects": {
    schema: { enum: [{ a: [1, { b: null }] }, [true]] },
    fit: [{ a: [1, { b: null }] }, [true]],
    unfit: [{ a: [1] }, [false], {}],
  },
  "a pattern that is not anchored": {
    schema: { type: "string", pattern: "b+c" },
    fit: ["abcd", "bc"],
    unfit: ["b", "acb"],
  },
  "a pattern with lengths": {
    schema: { type: "string", pattern: "^[ab]*$", minLength: 2, maxLength: 3 },
    fit: ["ab", "bab"],
    unfit: ["a", "abab", "ac"],
  },
  "a pattern of properties": {
    schema: { type: "string", pattern: "^\\p{Lu}\\p{L}*$" },
    fit: ["É", "Łódź", "A"],
    unfit: ["a", "A1", ""],
  },
  "a pattern of alternatives": {
    schema: { type: "string", pattern: "^a|b$" },
    fit: ["ax", "xb", "ab"],
    unfit: ["xa", "bx"],
  },
  "a pattern that looks ahead": {
    schema: { type: "string", pattern: "^(?=.*\\d)(?!.*x)[a-z\\d]{3,}$" },
    fit: ["a1b", "123"],
    unfit: ["abc", "a1", "a1x"],
  },
  "a pattern of word ends": {
    schema: { type: "string", pattern: "\\bfoo\\b" },
    fit: ["foo", "a foo."],
    unfit: ["food"],
  },
  "lengths without writing them out": {
    schema: { type: "string", minLength: 3, maxLength: 2 ** 31 - 1 },
    fit: ["abc", "x".repeat(5000)],
    unfit: ["ab"],
  },
  "counts without writing them out": {
    schema: { type: "array", items: { type: "integer" }, minItems: 2, maxItems: 2 ** 31 - 1 },
    fit: [[1, 2], Array.from({ length: 1000 }, () => 1)],
    unfit: [[1]],
  },
  "a least count that is large": {
    schema: { type: "array", minItems: 300, items: { const: 0 } },
    fit: [Array.from({ length: 300 }, () => 0)],
    unfit: [Array.from({ length: 299 }, () => 0)],
  },
  "repetitions of a pattern": {
    schema: { type: "string", pattern: "^(?:ab){2,100000}$" },
    fit: ["abab", "ab".repeat(3000)],
    unfit: ["ab", "aba"],
  },
  "exclusive bounds": {
    schema: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
    fit: [0.5, 0.001],
    unfit: [0, 1, -0.5],
  },
  "prefixItems": {
    schema: { type: "array", prefixItems: [{ const: 1 }], items: false },
    fit: [[], [1]],
    unfit: [[2], [1, 1]],
  },
  "unevaluatedProperties": {
    schema: {
      type: "object",
      allOf: [{ properties: { a: { type: "integer" } } }],
      properties: { b: {} },
      unevaluatedProperties: false,
    },
    fit: [{}, { a: 1, b: 2 }],
    unfit: [{ c: 1 }, { a: "x" }],
  },
  "keywords that say nothing of validity": {
    schema: {
      type: "string",
      title: "t",
      readonly: true,
      self: {},
      name: 1,
      links: [],
      version: "1",
      _format: "date",
      "x-order": 3,
      format: "something else",
      contentEncoding: "base64",
    },
    fit: ["a"],
    unfit: [1],
  },
};
for (const [name, { schema, fit, unfit }] of Object.entries(KEYWORDS)) {
  Deno.test(`a schema's grammar takes what fits and nothing else when it has ${name}`, () => {
    const isOlder = JSON.stringify(schema).includes("draft-07");
    const isValid = validator(schema, isOlder ? "draft-07" : "2020-12");
    const grammar = new Grammar(compile(schema));
    for (const [values, expected] of [[fit, true], [unfit, false]] as const) {
      for (const value of values) {
        const text = JSON.stringify(value);
        const end = grammar.advance(grammar.start, encoder.encode(text));
        assertEquals(end !== undefined && grammar.canEnd(end), expected, text.slice(0, 100));
        assertEquals(isValid(value), expected, `${text.slice(0, 100)} by the validator`);
      }
    }
  });
}
