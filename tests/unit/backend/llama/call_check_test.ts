import { assertEquals } from "@std/assert";
import type { JsonObject } from "../../../../src/inference/request.ts";
import { toolCallFault } from "../../../../src/backend/llama/call_check.ts";

function faultOf(inputSchema: JsonObject, input: JsonObject): string | undefined {
  return toolCallFault([{ name: "t", description: "", inputSchema }], "t", input);
}

const UNIQUE = {
  type: "object",
  properties: { tags: { type: "array", items: { type: "string" }, uniqueItems: true } },
} as const;

Deno.test("a call is found valid or not when a validator can tell", () => {
  assertEquals(faultOf(UNIQUE, { tags: ["a", "b"] }), undefined);
  const refused = "The model's tool call does not match the tool's schema";
  assertEquals(faultOf(UNIQUE, { tags: ["secret", "secret"] }), `${refused}: "uniqueItems" is violated`);
  assertEquals(faultOf({ type: "object", required: ["a"] }, {}), `${refused}: "required" is violated`);
});

Deno.test("a call with a decimal number is valid when the number is a multiple as it is written", () => {
  const price = (multipleOf: number): JsonObject => ({ properties: { price: { type: "number", multipleOf } } });
  for (const value of [4.1, 0.07, -1.16, 123456789.01, 3]) {
    assertEquals(faultOf(price(0.01), { price: value }), undefined, `${value}`);
  }
  const refused = "The model's tool call does not match the tool's schema";
  assertEquals(faultOf(price(0.01), { price: 4.105 }), `${refused}: "multipleOf" is violated`);
  assertEquals(faultOf(price(7), { price: 8 }), `${refused}: "multipleOf" is violated`);
});

Deno.test("a call is looked at under the draft that its schema names, or that can be meant", () => {
  const list = (keyword: string): JsonObject => ({ [keyword]: [{ type: "string" }, { type: "integer" }] });
  const older = { $schema: "http://json-schema.org/draft-07/schema#", properties: { a: list("items") } };
  assertEquals(faultOf(older, { a: ["x", 1] }), undefined);
  assertEquals(faultOf(older, { a: ["x", "y"] }) === undefined, false);
  assertEquals(faultOf({ properties: { a: list("items") } }, { a: ["x", "y"] }) === undefined, false);
  assertEquals(faultOf({ properties: { a: list("prefixItems") } }, { a: ["x", "y"] }) === undefined, false);
});

Deno.test("a call is let through when nothing can be said of it", () => {
  assertEquals(faultOf({ properties: { a: { $ref: "https://example.com/a.json" } } }, { a: 1 }), undefined);
  assertEquals(toolCallFault([], "t", {}), undefined);
});

Deno.test("a call is looked at in time when a pattern would make a backtracking engine go on for ever", () => {
  const schema = { properties: { a: { type: "string", pattern: "^(a+)+$" }, b: { pattern: "^b" } } };
  assertEquals(faultOf(schema, { a: "aaa", b: "bc" }), undefined);
  assertEquals(faultOf(schema, { a: "aaa" }), undefined);
  assertEquals(faultOf(schema, { a: `${"a".repeat(20_000)}!` })?.includes('"pattern"'), true);
});

Deno.test("a call is refused when all but what a pattern repeats tells that it does not match", () => {
  const quoted = { properties: { a: { type: "string", pattern: "^(['|])[a-z]+\\1$" } } };
  assertEquals(faultOf(quoted, { a: "'abc'" }), undefined);
  assertEquals(faultOf(quoted, { a: "abc" })?.includes('"pattern"'), true);
  assertEquals(faultOf(quoted, { a: `'${"a".repeat(20_000)}` }), undefined);
  // Nothing is held against a key that may not be meant.
  const keyed = { patternProperties: { "^(a|b)\\1$": { type: "string" } } };
  assertEquals(faultOf(keyed, { ab: 1 }), undefined);
  assertEquals(faultOf({ ...keyed, required: ["c"] }, { ab: 1 }) === undefined, false);
  // Where it must not repeat itself, nothing can be said.
  const unlike = { properties: { a: { type: "string", pattern: "^([a-z])(?!\\1)b$" } } };
  assertEquals(faultOf(unlike, { a: "?" }), undefined);
});
