import { assertEquals } from "@std/assert";
import { type ArgumentsRead, argumentsReader } from "../../../../src/engine/answer/call_arguments.ts";

const SCHEMA = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "integer" },
    exact: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
  },
};

function read(text: string): ArgumentsRead {
  return argumentsReader({ type: "python", quote: '"' }, { schema: SCHEMA, after: [] }).read(text, false);
}

function input(text: string): unknown {
  const found = read(text);
  return typeof found === "string" ? found : found.input;
}

Deno.test("arguments of Python calls have the schema's types when all values are quoted or none is", () => {
  const expected = { city: "Oslo", days: 3, exact: false };
  for (
    const text of [
      '(city="Oslo", days=3, exact=False)',
      '(city="Oslo", days="3", exact="False")',
      "(city=Oslo, days=3, exact=false)",
    ]
  ) assertEquals(input(text), expected, text);
  assertEquals(input("(city=5, tags=['a', 'b'])"), { city: "5", tags: ["a", "b"] });
  assertEquals(input("(city=f(x))"), "unreadable");
});

Deno.test("string of a named argument in a Python call goes on when no name follows its quote", () => {
  const quoted = '{"name": "get_time", "arguments": {}}';
  assertEquals(input(`(city="${quoted}", days=3)`), { city: quoted, days: 3 });
  assertEquals(input('("Oslo", "3")'), { city: "Oslo", days: 3 });
});
