import { assert, assertEquals } from "@std/assert";
import { matches } from "./support.ts";

const schema = {
  type: "object",
  properties: { note: {}, reason: { type: "string" }, tag: {}, answer: { type: "integer" } },
  required: ["reason", "answer"],
};

/** Whether an object's properties may stand in an order, each with a value that fits. */
function takes(names: string, of: unknown = schema, options = {}): boolean {
  const values: Readonly<Record<string, string>> = { reason: '"r"', answer: "1" };
  const entries = names.split(" ").filter((name) => name !== "").map((name) =>
    `${JSON.stringify(name)}:${values[name] ?? "0"}`
  );
  return matches(of, `{${entries.join()}}`, options);
}

Deno.test("an object takes optional properties anywhere when required ones keep the schema's order", () => {
  for (
    const names of [
      "reason answer",
      "note reason answer",
      "reason note answer",
      "reason answer note",
      "tag reason note answer",
      "reason answer tag note",
    ]
  ) {
    assert(takes(names), names);
    assert(takes(names, schema, { isClosed: true }), names);
  }
});

Deno.test("an object refuses required properties in another order, so that a schema says what is written first", () => {
  for (const names of ["answer reason", "answer note reason", "reason", "answer", ""]) assert(!takes(names), names);
});

Deno.test("an object takes required properties in the order of `required` when it is another than the schema's", () => {
  const other = { ...schema, required: ["answer", "reason"] };
  assert(takes("reason answer", other));
  assert(takes("answer reason", other));
  assert(takes("tag answer note reason", other));
});

Deno.test("an object takes required properties in any order when several schemas require them", () => {
  const split = { ...schema, required: ["reason"], allOf: [{ required: ["answer"] }, { required: ["tag"] }] };
  assert(takes("reason answer tag", split));
  assert(takes("tag answer reason", split));
  assert(!takes("tag answer", split));
});

Deno.test("an object takes no property twice when it is told by its name", () => {
  assert(!takes("reason note answer note"));
  assert(!takes("reason reason answer"));
});

Deno.test("an object takes further properties anywhere, or behind what is required when a model writes it", () => {
  const open = { ...schema, additionalProperties: { type: "integer" } };
  assertEquals(["x reason answer", "reason x answer", "reason answer x y"].map((names) => takes(names, open)), [
    true,
    true,
    true,
  ]);
  assertEquals(
    ["x reason answer", "reason x answer", "reason answer x y"].map((names) => takes(names, open, { isClosed: true })),
    [false, false, true],
  );
});

Deno.test("an object gets no further properties from a model when the schema says nothing of them", () => {
  assert(takes("reason answer x"));
  assert(!takes("reason answer x", schema, { isClosed: true }));
  assert(matches({ type: "object" }, '{"x":1}', { isClosed: true }));
  assert(matches({}, '{"x":1}', { isClosed: true }));
});

Deno.test("a list that tells its items one by one gets no others from a model when the schema says nothing of them", () => {
  const list = { type: "array", prefixItems: [{ const: 1 }] };
  assert(matches(list, "[1,2]"));
  assert(!matches(list, "[1,2]", { isClosed: true }));
  assert(matches({ type: "array" }, "[1,2]", { isClosed: true }));
});

Deno.test("a tool's arguments are an empty object when it takes nothing", () => {
  const options = { isClosed: true, isTool: true };
  for (const none of [{ type: "object" }, { type: "object", properties: {} }, { type: "object", required: [] }]) {
    assert(matches(none, "{}", options));
    assert(!matches(none, '{"a":1}', options));
  }
  assert(matches({ type: "object", additionalProperties: true }, '{"a":1}', options));
  assert(matches({ type: "object", properties: { a: { type: "object" } } }, '{"a":{"b":1}}', options));
});
