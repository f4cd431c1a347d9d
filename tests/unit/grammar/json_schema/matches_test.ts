import { assertEquals } from "@std/assert";
import { Grammar } from "../../../../src/grammar/grammar.ts";
import { compile, encoder, matches, randomNumbers } from "./support.ts";

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

const NOW = { type: "object", properties: { a: { type: "integer" }, b: { type: "string" } }, required: ["b"] };
const OPEN = { properties: { ab: { const: 1 } }, additionalProperties: { const: 2 } };
/** Names that cannot be written without escapes. */
const ESCAPED = {
  properties: { 'a"b': { const: 1 }, '"': { const: 1 }, "c\\d": { const: 1 }, "\n": { const: 1 } },
  additionalProperties: { const: 2 },
};
const MATCHED: readonly (readonly [unknown, string, boolean])[] = [
  [NOW, '{"a":1,"b":""}', true],
  [NOW, '{"a": 1, "b": "x"}', true],
  [NOW, '{"b":"x"}', true],
  [NOW, '{"a":1}', false],
  [NOW, '{"b":"x","a":1}', true],
  [NOW, '{"b":"x",}', false],
  [NOW, '{"c":1,"b":"x","d":1}', true],
  [NOW, '{ "b":"x"}', false],
  [NOW, '{"b":  "x"}', false],
  [NOW, '{\n"b":"x"}', false],
  [OPEN, '{"ab":1}', true],
  [OPEN, '{"ab":1, "a": 2,"abc":2,"":2,"é":2}', true],
  [OPEN, '{"x":2,"ab":2}', false],
  [OPEN, '{"ab":2}', false],
  [OPEN, '{"\\u0061b":2}', false],
  [ESCAPED, '{"a\\"b":1,"x":2}', true],
  [ESCAPED, '{"a":2,"":2,"ab":2}', true],
  [ESCAPED, '{"a"c":2}', false],
  [ESCAPED, '{"c\\":2}', false],
  [ESCAPED, '{"c\\x":2}', false],
  [ESCAPED, '{"\nd":2}', false],
  [ESCAPED, '{"\n":2}', false],
  [{}, '{"a": [1, -2.5e+3, {"b": null}], "\\u00e9\\/": "x\\ny😀"}', true],
  [{}, "[[[[[[]]]]]]", true],
  [{}, '"\\ud83d\\ude00"', false],
  [{}, '"\\ud800"', false],
  [{}, '"\\uD7ff\\uE000"', true],
  [{}, '"\n"', false],
  [{}, "01", false],
  [{}, "1e999", false],
  [{}, "-", false],
  [{ type: "integer" }, "-0", false],
  [{ type: "integer" }, "999999999999999", true],
  [{ type: "integer" }, "1.0", false],
  [{ type: "number" }, "-0.5E-7", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.5", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.499", false],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "0.51", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10.00", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "10.01", false],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "9.999", true],
  [{ type: "number", minimum: 0.5, maximum: 10 }, "-1", false],
  [{ type: "number", minimum: 0 }, "123456.789", true],
  [{ type: "number", minimum: 0 }, "-0.1", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0.0", false],
  [{ type: "number", exclusiveMinimum: 0 }, "0.01", true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"a\\n"', true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '""', false],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"😀é"', true],
  [{ type: "string", minLength: 1, maxLength: 2 }, '"abc"', false],
  [{ type: "string", format: "date" }, '"2024-02-29"', true],
  [{ type: "string", format: "date" }, '"2023-02-29"', false],
  [{ type: "string", format: "date" }, '"2023-12-31"', true],
  [{ type: "string", format: "date" }, '"2023-06-31"', false],
  [{ type: "string", format: "date-time" }, '"2023-06-30T23:59:59.5+02:00"', true],
  [{ type: "string", format: "time" }, '"24:00:00Z"', false],
  [{ type: "string", format: "uuid" }, '"123e4567-e89b-12d3-a456-426614174000"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"aab"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"ac\\n"', true],
  [{ pattern: "^a+(b|c\\n)?$" }, '"abc"', false],
  [{ pattern: "^a+(b|c\\n)?$" }, '""', false],
  [{ pattern: '^["\\\\x]{2}$' }, '"\\"\\\\"', true],
  [{ pattern: "^[^x]$" }, '"x"', false],
  [{ enum: [1, "1"] }, "1", true],
  [{ enum: [1, "1"] }, '"1"', true],
  [{ enum: [1, "1"] }, "2", false],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[1, 2]", true],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[]", false],
  [{ type: "array", items: { type: "integer" }, minItems: 1, maxItems: 2 }, "[1,2,3]", false],
  [TREE, '{"value": 1, "children": [{"value": 2, "children": []}, {"value": 3}]}', true],
  [TREE, '{"value": 1, "children": [{"children": []}]}', false],
];
for (const [schema, text, expected] of MATCHED) {
  const what = JSON.stringify(schema).slice(0, 90);
  Deno.test(`a schema's grammar ${expected ? "takes" : "refuses"} ${JSON.stringify(text)} when it is ${what}`, () => {
    assertEquals(matches(schema, text), expected);
  });
}

Deno.test("integers within bounds are exactly those when the bounds are any", () => {
  const random = randomNumbers(7);
  for (let i = 0; i < 200; i++) {
    const [a, b] = [0, 0].map(() => Math.floor((random() - 0.5) * 10 ** Math.ceil(random() * 4)));
    const [minimum, maximum] = [Math.min(a ?? 0, b ?? 0), Math.max(a ?? 0, b ?? 0)];
    const grammar = new Grammar(compile({ type: "integer", minimum, maximum }));
    for (let value = minimum - 15; value <= maximum + 15; value += 1 + Math.floor(random() * 3)) {
      const end = grammar.advance(grammar.start, encoder.encode(`${value}`));
      const isWithin = end !== undefined && grammar.canEnd(end);
      assertEquals(isWithin, value >= minimum && value <= maximum, `${value} from ${minimum} to ${maximum}`);
    }
  }
});

Deno.test("numbers within bounds are exactly those when the bounds are any", () => {
  const random = randomNumbers(8);
  for (let i = 0; i < 200; i++) {
    const draw = (): number =>
      Number(((random() - 0.5) * 10 ** Math.ceil(random() * 3)).toFixed(Math.floor(random() * 4)));
    const [a, b] = [draw(), draw()];
    const [minimum, exclusiveMaximum] = [Math.min(a, b), Math.max(a, b) + 0.5];
    const grammar = new Grammar(compile({ type: "number", minimum, exclusiveMaximum }));
    for (let n = 0; n < 50; n++) {
      const value = minimum + (random() * 1.4 - 0.2) * (exclusiveMaximum - minimum);
      const text = [minimum, exclusiveMaximum, value][n % 3]?.toFixed(Math.floor(random() * 6)).replace(
        /^-(?=0\.?0*$)/,
        "",
      );
      const end = grammar.advance(grammar.start, encoder.encode(text));
      const isWithin = end !== undefined && grammar.canEnd(end);
      assertEquals(
        isWithin,
        Number(text) >= minimum && Number(text) < exclusiveMaximum,
        `${text} in ${minimum}, ${exclusiveMaximum}`,
      );
    }
  }
});
