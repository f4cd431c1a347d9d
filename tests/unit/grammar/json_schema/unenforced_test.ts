import { assert, assertEquals, assertThrows } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import { compile, encoder, PATH } from "./support.ts";

/** What is left of a schema of which some cannot be enforced, and what is told of it. */
function lenient(schema: unknown): { readonly takes: (value: unknown) => boolean; readonly told: readonly string[] } {
  const told: string[] = [];
  const grammar = new Grammar(compile(schema, { isClosed: true, onUnenforced: (message) => told.push(message) }));
  const takes = (value: unknown): boolean => {
    const end = grammar.advance(grammar.start, encoder.encode(JSON.stringify(value)));
    return end !== undefined && grammar.canEnd(end);
  };
  return { takes, told };
}

Deno.test("what can be enforced of a schema is, when the rest is left to a look at the value afterwards", () => {
  const { takes, told } = lenient({
    type: "object",
    properties: {
      a: { type: "array", items: { type: "string" }, uniqueItems: true },
      b: { type: "string", pattern: "^(x)\\1$" },
      c: { type: "integer" },
    },
    required: ["c"],
  });
  assertEquals(told, [
    `"${PATH}.properties.b.pattern" is not supported: "\\1" repeats what was matched before`,
    `"${PATH}.properties.a.uniqueItems" is supported only where the items are told one by one`,
  ]);
  assert(takes({ a: ["x", "x"], b: "anything", c: 1 }));
  assert(!takes({ a: [1], c: 1 }));
  assert(!takes({ b: 1, c: 1 }));
  assert(!takes({ a: [] }));
});

Deno.test("nothing is told of a schema that is enforced in full", () => {
  assertEquals(lenient({ type: "object", properties: { a: { pattern: "^x+$" } } }).told, []);
});

Deno.test("a schema that says nothing that could be meant is refused when the rest might be left out, too", () => {
  for (
    const schema of [{ type: "strin" }, { properties: [] }, { minimum: "x" }, { $ref: "#/no" }, {
      type: "array",
      items: { type: 1 },
    }]
  ) {
    assertThrows(() => lenient(schema), GrammarError, PATH);
  }
});

Deno.test("only its type is left of a schema that is too complex to be looked through", () => {
  const { takes, told } = lenient({
    type: "object",
    properties: { a: { oneOf: Array.from({ length: 1000 }, (_, value) => ({ const: value })) } },
  });
  assertEquals(told.length, 1);
  assert(takes({ a: "anything" }));
  assert(!takes([]));
});

Deno.test("a schema elsewhere is left out when it cannot be read", () => {
  const { takes, told } = lenient({
    type: "object",
    properties: { a: { $ref: "https://example.com/a.json" }, b: { type: "null" } },
  });
  assertEquals(told, [
    `"${PATH}.properties.a.$ref" refers to something outside of the schema, got "https://example.com/a.json"`,
  ]);
  assert(takes({ a: { b: 1 }, b: null }));
  assert(!takes({ b: 1 }));
});
