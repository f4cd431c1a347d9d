/** What the client reads from valibot's schemas: beside what valibot's own package says of them. */
import { assertEquals, assertThrows } from "@std/assert";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { valibotJsonSchema } from "../../client/valibot.ts";

interface Tree {
  readonly value: number;
  readonly children?: readonly Tree[] | undefined;
}
const tree: v.GenericSchema<Tree> = v.object({
  value: v.number(),
  children: v.optional(v.array(v.lazy(() => tree))),
});

const SAME: Readonly<Record<string, v.GenericSchema>> = {
  scalars: v.object({ a: v.string(), b: v.number(), c: v.boolean(), d: v.null(), e: v.unknown(), f: v.any() }),
  optionals: v.object({ a: v.optional(v.string()), b: v.exactOptional(v.number()), c: v.nullish(v.string()) }),
  nullables: v.object({ a: v.nullable(v.string()) }),
  literals: v.object({ a: v.literal("x"), b: v.literal(1) }),
  unions: v.union([v.string(), v.array(v.number())]),
  intersections: v.intersect([v.looseObject({ a: v.string() }), v.looseObject({ b: v.number() })]),
  strict: v.strictObject({ a: v.string() }),
  rest: v.objectWithRest({ a: v.string() }, v.number()),
  records: v.record(v.pipe(v.string(), v.maxLength(3)), v.boolean()),
  numbers: v.object({
    a: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9)),
    b: v.pipe(v.number(), v.multipleOf(5)),
  }),
  texts: v.object({
    a: v.pipe(v.string(), v.minLength(1), v.maxLength(5)),
    b: v.pipe(v.string(), v.length(3)),
    c: v.pipe(v.string(), v.nonEmpty()),
    d: v.pipe(v.string(), v.regex(/^a+$/)),
    e: v.pipe(v.string(), v.email()),
    f: v.pipe(v.string(), v.uuid()),
    g: v.pipe(v.string(), v.isoDate()),
    h: v.pipe(v.string(), v.url()),
    i: v.pipe(v.string(), v.ipv4()),
    j: v.pipe(v.string(), v.isoTimestamp()),
  }),
  lists: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(3)),
  said: v.pipe(v.string(), v.title("A title"), v.description("What it is")),
};

for (const [name, schema] of Object.entries(SAME)) {
  Deno.test(`a valibot schema of ${name} is what valibot's own package says`, () => {
    const { $schema: _, ...expected } = toJsonSchema(schema);
    // An empty list of required properties says nothing.
    const plain = JSON.parse(
      JSON.stringify(expected, (key, value) => key === "required" && value.length === 0 ? undefined : value),
    );
    assertEquals(JSON.parse(JSON.stringify(valibotJsonSchema(schema))), plain);
  });
}

Deno.test("a valibot schema of values and of names says no more than is needed", () => {
  assertEquals(valibotJsonSchema(v.picklist(["p", "q"])), { enum: ["p", "q"] });
  assertEquals(valibotJsonSchema(v.enum({ One: 1, Two: "two" })), { enum: [1, "two"] });
  assertEquals(valibotJsonSchema(v.record(v.picklist(["a"]), v.null())).propertyNames, { enum: ["a"] });
  assertEquals(valibotJsonSchema(v.record(v.string(), v.null())), {
    type: "object",
    additionalProperties: { type: "null" },
  });
});

Deno.test("a valibot tuple has as many items as it says", () => {
  assertEquals(valibotJsonSchema(v.tuple([v.string(), v.number()])), {
    type: "array",
    prefixItems: [{ type: "string" }, { type: "number" }],
    minItems: 2,
    items: false,
  });
  assertEquals(valibotJsonSchema(v.tupleWithRest([v.string()], v.null())).items, { type: "null" });
  assertEquals("items" in valibotJsonSchema(v.looseTuple([v.string()])), false);
});

Deno.test("a valibot schema that refers to itself becomes a reference", () => {
  const self = { $ref: "#/$defs/schema1" };
  const object = {
    type: "object",
    properties: { value: { type: "number" }, children: { type: "array", items: self } },
    required: ["value"],
  };
  assertEquals(valibotJsonSchema(tree), { ...object, $defs: { schema1: object } });
});

Deno.test("rules after a transformation of a valibot schema are left to its validation", () => {
  const schema = v.pipe(v.string(), v.trim(), v.minLength(2), v.transform(Number), v.number(), v.minValue(1));
  assertEquals(valibotJsonSchema(schema), { type: "string", minLength: 2 });
  assertEquals(valibotJsonSchema(v.pipe(v.string(), v.regex(/a/i), v.check((text) => text !== "b"))), {
    type: "string",
  });
});

Deno.test("a valibot schema without a counterpart is refused with its type", () => {
  assertThrows(() => valibotJsonSchema(v.object({ a: v.date() })), TypeError, 'nothing for "date"');
  assertThrows(() => valibotJsonSchema(v.bigint()), TypeError, 'nothing for "bigint"');
});
