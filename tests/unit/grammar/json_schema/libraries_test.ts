import { assert, assertEquals } from "@std/assert";
import { Type } from "@sinclair/typebox";
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { z } from "zod";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { compile, encoder } from "./support.ts";

/** What one part of a library's vocabulary makes, a value that fits and one that does not. */
type Part = readonly [schema: unknown, fit: unknown, unfit: unknown];

const Color = { Red: "red", Blue: "blue" } as const;

const ZOD: Readonly<Record<string, readonly [schema: z.ZodType, fit: unknown, unfit: unknown]>> = {
  string: [z.string().min(2).max(3), "ab", "a"],
  "string that is not empty": [z.string().nonempty(), "a", ""],
  regex: [z.string().regex(/^[a-z]+$/), "a", "1"],
  "start, end and middle": [z.string().startsWith("a").endsWith("z").includes("m"), "amz", "az"],
  "case": [z.string().lowercase(), "a", "A"],
  email: [z.email(), "a@example.com", "a@"],
  url: [z.url(), "https://example.com", "x"],
  uuid: [z.uuid(), "123e4567-e89b-42d3-a456-426614174000", "x"],
  cuid: [z.cuid(), "cjld2cjxh0000qzrmn831i7rn", "!"],
  ulid: [z.ulid(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "!"],
  nanoid: [z.nanoid(), "V1StGXR8_Z5jdHi6B-myT", "!"],
  base64: [z.base64(), "YQ==", "!"],
  base64url: [z.base64url(), "YQ", "!"],
  jwt: [z.jwt(), "a.b.c", 1],
  emoji: [z.emoji(), "😀", "a"],
  ipv4: [z.ipv4(), "127.0.0.1", "256.0.0.1"],
  ipv6: [z.ipv6(), "::1", "x"],
  cidr: [z.cidrv4(), "10.0.0.0/8", "10.0.0.0/99"],
  "e164": [z.e164(), "+15551234567", "1"],
  "iso date": [z.iso.date(), "2024-02-29", "2023-02-29"],
  "iso time": [z.iso.time(), "10:00:00", "x"],
  "iso date-time": [z.iso.datetime(), "2024-01-01T00:00:00Z", "x"],
  "iso duration": [z.iso.duration(), "P1D", "x"],
  number: [z.number().gte(1).lt(3), 2.5, 3],
  multipleOf: [z.number().multipleOf(0.5), 1.5, 1.2],
  int: [z.int(), 3, 3.5],
  int32: [z.int32(), -5, 2 ** 40],
  float: [z.float64(), 1.5, "a"],
  boolean: [z.boolean(), true, "true"],
  null: [z.null(), null, 0],
  any: [z.object({ a: z.any() }), { a: [1] }, { b: 1 }],
  unknown: [z.unknown(), { a: 1 }, undefined],
  literal: [z.literal(["a", 1, null]), 1, 2],
  enum: [z.enum(["a", "b"]), "b", "c"],
  "native enum": [z.enum(Color), "blue", "Blue"],
  object: [z.object({ a: z.string(), b: z.number().optional() }), { a: "x" }, { b: 1 }],
  "strict object": [z.strictObject({ a: z.string() }), { a: "x" }, { a: "x", b: 1 }],
  "loose object": [z.looseObject({ a: z.string() }), { a: "x", b: 1 }, { b: 1 }],
  catchall: [z.object({ a: z.string() }).catchall(z.int()), { a: "x", b: 1 }, { a: "x", b: "y" }],
  record: [z.record(z.string(), z.int()), { x: 1 }, { x: "y" }],
  "record of an enum": [z.record(z.enum(["a", "b"]), z.int()), { a: 1, b: 2 }, { a: 1 }],
  "partial record": [z.partialRecord(z.enum(["a", "b"]), z.int()), { a: 1 }, { c: 1 }],
  array: [z.array(z.int()).min(1).max(2), [1], []],
  tuple: [z.tuple([z.string(), z.int()]), ["a", 1], ["a", "b"]],
  "tuple with a rest": [z.tuple([z.string()], z.int()), ["a", 1, 2], ["a", "b"]],
  hostname: [z.hostname(), `${"a".repeat(63)}.example.com`, "a..b"],
  "several patterns and a length": [
    z.string().startsWith("a.b").endsWith("(c)").includes("x y").max(12),
    "a.b-x y-(c)",
    "a.b--x y--(c)",
  ],
  union: [z.union([z.string(), z.int()]), 1, 1.5],
  "discriminated union": [
    z.discriminatedUnion("t", [z.object({ t: z.literal("a"), x: z.int() }), z.object({ t: z.literal("b") })]),
    { t: "a", x: 1 },
    { t: "a" },
  ],
  intersection: [z.intersection(z.object({ a: z.int() }), z.object({ b: z.int() })), { a: 1, b: 2 }, { a: 1 }],
  nullable: [z.string().nullable(), null, 1],
  nullish: [z.object({ a: z.string().nullish() }), { a: null }, { a: 1 }],
  default: [z.object({ a: z.string().default("x") }), { a: "y" }, { a: 1 }],
  prefault: [z.object({ a: z.string().prefault("x") }), { a: "y" }, { a: 1 }],
  catch: [z.object({ a: z.string().catch("x") }), { a: "y" }, []],
  readonly: [z.array(z.int()).readonly(), [1], ["a"]],
  brand: [z.string().brand("b"), "a", 1],
  described: [z.string().describe("d").meta({ examples: ["a"], deprecated: true, id: "described" }), "a", 1],
  "template literal": [z.templateLiteral(["a-", z.int()]), "a-12", "a-x"],
  lazy: [z.lazy(() => z.int()), 1, "a"],
  pipe: [z.pipe(z.string(), z.string().min(1)), "a", ""],
  stringbool: [z.pipe(z.string(), z.string()), "true", 1],
};
for (const [name, [schema, fit, unfit]] of Object.entries(ZOD)) {
  for (const target of ["draft-2020-12", "draft-7"] as const) {
    Deno.test(`what zod writes for ${name} compiles when it is written as ${target}`, () => {
      assertFits([z.toJSONSchema(schema, { target }), fit, unfit]);
    });
  }
}

Deno.test("what zod writes for a recursive type compiles when it refers to itself", () => {
  const Tree = z.object({
    value: z.int(),
    get children() {
      return z.array(Tree);
    },
  });
  assertFits([z.toJSONSchema(Tree), { value: 1, children: [{ value: 2, children: [] }] }, {
    value: 1,
    children: [{}],
  }]);
});

const TYPEBOX: Readonly<Record<string, Part>> = {
  Any: [Type.Any(), [1], undefined],
  Unknown: [Type.Unknown(), 1, undefined],
  String: [Type.String({ minLength: 1, format: "email" }), "a@example.com", ""],
  Pattern: [Type.String({ pattern: "^a+$" }), "aa", "b"],
  Number: [Type.Number({ exclusiveMinimum: 0, multipleOf: 0.5 }), 1.5, 0],
  Integer: [Type.Integer({ minimum: 1 }), 1, 1.5],
  Boolean: [Type.Boolean(), true, 1],
  Null: [Type.Null(), null, 0],
  Literal: [Type.Literal("a"), "a", "b"],
  Enum: [Type.Enum(Color), "red", "Red"],
  Array: [Type.Array(Type.Integer(), { minItems: 1, contains: Type.Literal(2) }), [1, 2], [1]],
  Tuple: [Type.Tuple([Type.String(), Type.Integer()]), ["a", 1], ["a"]],
  "Tuple of nothing": [Type.Tuple([]), [], [1]],
  Object: [Type.Object({ a: Type.String(), b: Type.Optional(Type.Integer()) }), { a: "x" }, { b: 1 }],
  "closed Object": [Type.Object({ a: Type.String() }, { additionalProperties: false }), { a: "x" }, { a: "x", b: 1 }],
  Partial: [Type.Partial(Type.Object({ a: Type.String() })), {}, { a: 1 }],
  Pick: [Type.Pick(Type.Object({ a: Type.String(), b: Type.Null() }), ["a"]), { a: "x" }, {}],
  Record: [Type.Record(Type.String(), Type.Integer()), { a: 1 }, { a: "b" }],
  "Record of a pattern": [Type.Record(Type.RegExp("^x"), Type.Integer()), { xa: 1 }, { xa: "b" }],
  Union: [Type.Union([Type.String(), Type.Null()]), null, 1],
  Intersect: [
    Type.Intersect([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })], {
      unevaluatedProperties: false,
    }),
    { a: 1, b: 2 },
    { a: 1, b: 2, c: 3 },
  ],
  Composite: [
    Type.Composite([Type.Object({ a: Type.Integer() }), Type.Object({ b: Type.Integer() })]),
    { a: 1, b: 2 },
    { a: 1 },
  ],
  Not: [Type.Not(Type.String()), 1, "a"],
  Never: [Type.Object({ a: Type.Optional(Type.Never()), b: Type.Null() }), { b: null }, { a: 1, b: null }],
  TemplateLiteral: [Type.TemplateLiteral("a${1|2}"), "a1", "a3"],
  Recursive: [
    Type.Recursive((This) => Type.Object({ children: Type.Array(This) })),
    { children: [{ children: [] }] },
    { children: [1] },
  ],
  Module: [
    Type.Module({ A: Type.Object({ b: Type.Ref("B") }), B: Type.Integer() }).Import("A"),
    { b: 1 },
    { b: "x" },
  ],
  Extends: [Type.Extends(Type.String(), Type.String(), Type.Literal(1), Type.Literal(2)), 1, 2],
};
for (const [name, part] of Object.entries(TYPEBOX)) {
  Deno.test(`what TypeBox writes for ${name} compiles`, () => assertFits(part));
}

const VALIBOT: Readonly<Record<string, readonly [schema: v.GenericSchema, fit: unknown, unfit: unknown]>> = {
  string: [v.pipe(v.string(), v.minLength(2), v.maxLength(3)), "ab", "a"],
  "string that is not empty": [v.pipe(v.string(), v.nonEmpty()), "a", ""],
  length: [v.pipe(v.string(), v.length(2)), "ab", "a"],
  regex: [v.pipe(v.string(), v.regex(/^a+$/)), "a", "b"],
  email: [v.pipe(v.string(), v.email()), "a@example.com", "a"],
  url: [v.pipe(v.string(), v.url()), "https://example.com", "x"],
  uuid: [v.pipe(v.string(), v.uuid()), "123e4567-e89b-12d3-a456-426614174000", "x"],
  ipv4: [v.pipe(v.string(), v.ipv4()), "127.0.0.1", "x"],
  ipv6: [v.pipe(v.string(), v.ipv6()), "::1", "x"],
  "iso date": [v.pipe(v.string(), v.isoDate()), "2024-01-01", "x"],
  "iso time stamp": [v.pipe(v.string(), v.isoTimestamp()), "2024-01-01T00:00:00Z", "x"],
  base64: [v.pipe(v.string(), v.base64()), "YQ==", 1],
  number: [v.pipe(v.number(), v.minValue(1), v.maxValue(2)), 1.5, 3],
  "greater and less": [v.pipe(v.number(), v.gtValue(1), v.ltValue(2)), 1.5, 1],
  integer: [v.pipe(v.number(), v.integer(), v.multipleOf(2)), 4, 3],
  boolean: [v.boolean(), true, 1],
  null: [v.null(), null, 0],
  any: [v.any(), [1], undefined],
  unknown: [v.unknown(), { a: 1 }, undefined],
  literal: [v.literal("a"), "a", "b"],
  value: [v.pipe(v.string(), v.value("a")), "a", "b"],
  picklist: [v.picklist(["a", 1]), 1, 2],
  enum: [v.enum(Color), "red", "Red"],
  object: [v.object({ a: v.string(), b: v.optional(v.number()) }), { a: "x" }, { b: 1 }],
  "strict object": [v.strictObject({ a: v.string() }), { a: "x" }, { a: "x", b: 1 }],
  "loose object": [v.looseObject({ a: v.string() }), { a: "x", b: 1 }, {}],
  "object with a rest": [v.objectWithRest({ a: v.string() }, v.number()), { a: "x", b: 1 }, { a: "x", b: "y" }],
  record: [v.record(v.pipe(v.string(), v.minLength(1)), v.number()), { a: 1 }, { a: "b" }],
  entries: [v.pipe(v.record(v.string(), v.number()), v.minEntries(1), v.maxEntries(2)), { a: 1 }, {}],
  array: [v.pipe(v.array(v.number()), v.minLength(1)), [1], []],
  tuple: [v.tuple([v.string(), v.number()]), ["a", 1], ["a"]],
  "strict tuple": [v.strictTuple([v.string()]), ["a"], ["a", 1]],
  "loose tuple": [v.looseTuple([v.string()]), ["a", 1], [1]],
  "tuple with a rest": [v.tupleWithRest([v.string()], v.number()), ["a", 1], ["a", "b"]],
  union: [v.union([v.string(), v.number()]), 1, null],
  variant: [
    v.variant("t", [v.object({ t: v.literal("a"), x: v.number() }), v.object({ t: v.literal("b") })]),
    { t: "a", x: 1 },
    { t: "a" },
  ],
  intersect: [v.intersect([v.object({ a: v.number() }), v.object({ b: v.number() })]), { a: 1, b: 2 }, { a: 1 }],
  nullable: [v.nullable(v.string()), null, 1],
  nullish: [v.object({ a: v.nullish(v.string()) }), { a: null }, { a: 1 }],
  optional: [v.object({ a: v.optional(v.string(), "x") }), { a: "y" }, { a: 1 }],
  metadata: [v.pipe(v.string(), v.title("t"), v.description("d"), v.examples(["a"])), "a", 1],
  readonly: [v.pipe(v.array(v.string()), v.readonly()), ["a"], [1]],
  lazy: [v.lazy(() => v.string()), "a", 1],
};
for (const [name, [schema, fit, unfit]] of Object.entries(VALIBOT)) {
  for (const target of ["draft-07", "draft-2020-12"] as const) {
    Deno.test(`what valibot writes for ${name} compiles when it is written as ${target}`, () => {
      assertFits([toJsonSchema(schema, { target, errorMode: "ignore" }), fit, unfit]);
    });
  }
}

/** As pydantic 2 writes the types of Python. */
const PYDANTIC: Readonly<Record<string, Part>> = {
  "Optional[str] = None": [{ anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "A" }, null, 1],
  "conint(gt=0, le=10, multiple_of=2)": [
    { exclusiveMinimum: 0, maximum: 10, multipleOf: 2, title: "A", type: "integer" },
    4,
    3,
  ],
  "Decimal": [
    { anyOf: [{ type: "number" }, { pattern: "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$", type: "string" }], title: "A" },
    "1.50",
    "x",
  ],
  "set[int]": [{ items: { enum: [1, 2] }, title: "A", type: "array", uniqueItems: true }, [2, 1], [1, 1]],
  "tuple[int, str]": [
    { maxItems: 2, minItems: 2, prefixItems: [{ type: "integer" }, { type: "string" }], title: "A", type: "array" },
    [1, "a"],
    [1],
  ],
  "dict[str, int]": [{ additionalProperties: { type: "integer" }, title: "A", type: "object" }, { a: 1 }, { a: "b" }],
  "dict[Literal['a', 'b'], int]": [
    { additionalProperties: { type: "integer" }, propertyNames: { enum: ["a", "b"] }, type: "object" },
    { a: 1 },
    { c: 1 },
  ],
  "datetime": [{ format: "date-time", title: "A", type: "string" }, "2024-01-01T00:00:00Z", "x"],
  "timedelta": [{ format: "duration", title: "A", type: "string" }, "P1D", "x"],
  "UUID4": [{ format: "uuid4", title: "A", type: "string" }, "anything", 1],
  "AnyUrl": [{ format: "uri", minLength: 1, title: "A", type: "string" }, "https://example.com", ""],
  "bytes": [{ format: "binary", title: "A", type: "string" }, "a", 1],
  "Path": [{ format: "path", title: "A", type: "string" }, "/a", 1],
  "IPv4Address": [{ format: "ipv4", title: "A", type: "string" }, "1.2.3.4", "x"],
  "Enum by reference with more beside it": [
    {
      $defs: { Color: { enum: ["red", "blue"], title: "Color", type: "string" } },
      properties: { color: { $ref: "#/$defs/Color", default: "red", description: "d" } },
      title: "M",
      type: "object",
    },
    { color: "blue" },
    { color: "green" },
  ],
  "Union with a discriminator": [
    {
      $defs: {
        Cat: { properties: { kind: { const: "cat", title: "K", type: "string" } }, required: ["kind"], type: "object" },
        Dog: { properties: { kind: { const: "dog", title: "K", type: "string" } }, required: ["kind"], type: "object" },
      },
      discriminator: { mapping: { cat: "#/$defs/Cat", dog: "#/$defs/Dog" }, propertyName: "kind" },
      oneOf: [{ $ref: "#/$defs/Cat" }, { $ref: "#/$defs/Dog" }],
    },
    { kind: "dog" },
    { kind: "cow" },
  ],
  "a recursive model": [
    {
      $defs: {
        Node: {
          properties: { next: { anyOf: [{ $ref: "#/$defs/Node" }, { type: "null" }], default: null } },
          title: "Node",
          type: "object",
        },
      },
      $ref: "#/$defs/Node",
    },
    { next: { next: null } },
    { next: 1 },
  ],
  "extra = forbid": [
    { additionalProperties: false, properties: { a: { type: "integer" } }, required: ["a"], type: "object" },
    { a: 1 },
    { a: 1, b: 2 },
  ],
};
for (const [name, part] of Object.entries(PYDANTIC)) {
  Deno.test(`what pydantic writes for ${name} compiles`, () => assertFits(part));
}

function assertFits([schema, fit, unfit]: Part): void {
  const grammar = new Grammar(compile(JSON.parse(JSON.stringify(schema))));
  const takes = (value: unknown): boolean => {
    const end = grammar.advance(grammar.start, encoder.encode(JSON.stringify(value)));
    return end !== undefined && grammar.canEnd(end);
  };
  assert(takes(fit), `${JSON.stringify(fit)} under ${JSON.stringify(schema)}`);
  if (unfit !== undefined) {
    assertEquals(takes(unfit), false, `${JSON.stringify(unfit)} under ${JSON.stringify(schema)}`);
  }
}
