import { assertThrows } from "@std/assert";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import { compile, PATH } from "./support.ts";

function nested(depth: number): unknown {
  let schema: unknown = { type: "null" };
  for (let i = 0; i < depth; i++) schema = { type: "array", items: schema };
  return schema;
}

/** That no number is all of these is more than can be looked through. */
const NO_STEP = {
  type: "number",
  minimum: 1,
  multipleOf: 8,
  allOf: [3, 5, 7, 11, 13].map((multipleOf) => ({ not: { multipleOf } })),
  not: { multipleOf: 2 },
};

const REFUSED: readonly (readonly [string, unknown, string])[] = [
  ["false", false, `"${PATH}" allows no value`],
  ["a number", 3, `"${PATH}" must be a schema`],
  ["a list", [], `"${PATH}" must be a schema`],
  ["null", null, `"${PATH}" must be a schema`],
  ["of an unknown type", { type: "strin" }, `"${PATH}.type" must be one of`],
  ["of no type", { type: [] }, `"${PATH}" allows no value`],
  ["with no alternatives", { anyOf: [] }, `"${PATH}.anyOf" must list schemas`],
  ["with not of all there is", { not: {} }, `"${PATH}" allows no value: "${PATH}.not" excludes the rest`],
  ["with multipleOf of nothing", { multipleOf: 0 }, `"${PATH}.multipleOf" must be above 0`],
  ["with a pattern that looks back", { pattern: "^(a)\\1$" }, `"${PATH}.pattern" is not supported: "\\1" repeats`],
  ["with a pattern that is none", { pattern: "^(a$" }, `"${PATH}.pattern" is not supported`],
  ["with a pattern that is a number", { pattern: 1, type: "string" }, `"${PATH}.pattern" must be a string`],
  ["with a pattern nested 1000 deep", { pattern: `^${"(".repeat(1000)}${")".repeat(1000)}$` }, "more than 64 deep"],
  ["with unique items", { type: "array", uniqueItems: true }, `"${PATH}.uniqueItems" is supported only where`],
  [
    "with an odd name",
    { properties: { "a b": { minimum: "x" } } },
    `"${PATH}.properties["a b"].minimum" must be a number`,
  ],
  ["with bounds that exclude all", { type: "integer", minimum: 3, maximum: 2 }, `"${PATH}" allows no value`],
  ["with bounds between integers", { type: "integer", minimum: 1.2, maximum: 1.8 }, `"${PATH}" allows no value`],
  ["with a broken count", { type: "array", maxItems: -1 }, `"${PATH}.maxItems" must be a whole number`],
  ["with crossed lengths", { type: "string", minLength: 3, maxLength: 2 }, `"${PATH}" allows no value`],
  ["with crossed counts", { type: "array", minItems: 3, maxItems: 2 }, `"${PATH}" allows no value`],
  ["with an empty enum", { enum: [] }, `"${PATH}.enum" must list values`],
  ["with an enum of another type", { type: "string", enum: [1] }, `"${PATH}" allows no value`],
  ["with a number that cannot be written", { enum: [1, [JSON.parse("1e400")]] }, `"${PATH}.enum[1][0]" is too large`],
  ["with half a character", { enum: ["a", "\ud800"] }, `"${PATH}.enum[1]" has half of a surrogate pair`],
  ["with a half name", { properties: { "\ud800": {} } }, "has half of a surrogate pair"],
  ["with required names that are none", { required: [1] }, `"${PATH}.required" must list names`],
  ["with properties that are none", { properties: [] }, `"${PATH}.properties" must be an object`],
  [
    "with a name required and excluded",
    { type: "object", required: ["a"], additionalProperties: false },
    `"${PATH}" allows no value`,
  ],
  ["with allOf that cannot be", { allOf: [{ const: 1 }, { const: 2 }] }, `"${PATH}" allows no value`],
  [
    "with allOf of different types",
    { allOf: [{ type: "string" }, { type: "null" }] },
    `"${PATH}" allows no value: "${PATH}.allOf[1].type" excludes the rest`,
  ],
  ["with a reference to nothing", { $ref: "#/$defs/a" }, `"${PATH}.$ref" refers to nothing, got "#/$defs/a"`],
  ["with a reference to what all objects have", { $ref: "#/constructor" }, `"${PATH}.$ref" refers to nothing`],
  ["with a reference elsewhere", { $ref: "https://x/y" }, `"${PATH}.$ref" refers to something outside of the schema`],
  ["with a broken reference", { $ref: "#/%" }, `"${PATH}.$ref" refers to nothing`],
  ["with a reference that is none", { $ref: 1 }, `"${PATH}.$ref" must be a string`],
  ["only itself", { $ref: "#" }, `"${PATH}" refers to itself`],
  ["itself among others", { anyOf: [{ type: "null" }, { $ref: "#" }] }, `"${PATH}" refers to itself`],
  [
    "a circle",
    { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } }, items: { $ref: "#/$defs/a" } },
    `"${PATH}.$defs.a" refers to itself`,
  ],
  ["itself and more", { $ref: "#", type: "null" }, "refers to itself"],
  [
    "without end",
    { type: "object", properties: { a: { $ref: "#" } }, required: ["a"] },
    `"${PATH}.properties.a" must contain itself without end`,
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
  ["100 000 alternatives", { anyOf: Array.from({ length: 100_000 }, () => ({ type: "null" })) }, `"${PATH}.anyOf[`],
  ["100 000 alternatives that are one of", { oneOf: Array.from({ length: 100_000 }, () => ({})) }, `"${PATH}.oneOf[`],
  [
    "1000 alternatives that are one of",
    { oneOf: Array.from({ length: 1000 }, (_, value) => ({ const: value })) },
    `"${PATH}" has too many alternatives`,
  ],
  ["100 000 types", { type: Array.from({ length: 100_000 }, () => "null") }, `"${PATH}.type" must be one of`],
  ["one name of a million characters", { properties: { ["x".repeat(2 ** 20)]: {} } }, `"${PATH}" is not supported`],
  ["one reference of a million characters", { $ref: `#${"/a".repeat(2 ** 19)}` }, `"${PATH}.$ref" refers to nothing`],
  ["a number that fits no step", NO_STEP, `"${PATH}" is not supported: it is too complex`],
  [
    "alternatives of alternatives",
    { type: "object", anyOf: [{ $ref: "#", required: ["a"] }, { $ref: "#", required: ["b"] }] },
    `"${PATH}"`,
  ],
];
for (const [name, schema, message] of REFUSED) {
  Deno.test(`a schema is refused with where and why when it is ${name}`, () => {
    assertThrows(() => compile(schema), GrammarError, message);
  });
}
