import { assert } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { compile, randomNumbers, validator, walk } from "./support.ts";

const A = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
/** Alternatives some value fits both of, or may, in either order. */
const OVERLAPPING: readonly (readonly [string, unknown, unknown])[] = [
  ["enums with a common value", { enum: ["a", "b"] }, { enum: ["b", "c"] }],
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
  Deno.test(`every text of a schema's grammar fits one alternative only when they are ${name}`, () => {
    for (const alternatives of [[one, other], [other, one]]) {
      const schema = { oneOf: alternatives };
      const grammar = new Grammar(compile(schema, { isClosed: true }));
      const isValid = validator(schema);
      for (let seed = 0; seed < 10; seed++) {
        const text = walk(grammar, randomNumbers(seed));
        assert(isValid(JSON.parse(text)), text);
      }
    }
  });
}
