/** The grammar of `ops`. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { MAX_DEPTH, MAX_DISPATCH_CALLS } from "@inferd/client/protocol";
import { OpsError, parseOps } from "../../../src/surfaces/ops.ts";

/** Verb and arguments of each call. */
function read(ops: string): [string, Record<string, unknown>][] {
  return parseOps(ops).map(({ verb, args }) => [verb, Object.fromEntries(args)]);
}

/** What is said of text that cannot be read. */
function refusal(ops: string): string {
  return assertThrows(() => parseOps(ops), OpsError).message;
}

Deno.test("ops reads one call without arguments", () => {
  assertEquals(read("status()"), [["status", {}]]);
  assertEquals(read(" \n status ( ) \t"), [["status", {}]]);
});

Deno.test("ops reads several calls in order, and says where each begins", () => {
  const calls = parseOps('status(); generate(prompt="a"); config_id()');
  assertEquals(calls.map(({ verb, number, at }) => [verb, number, at]), [
    ["status", 1, 1],
    ["generate", 2, 11],
    ["config_id", 3, 33],
  ]);
});

Deno.test("ops reads every kind of JSON value", () => {
  const values = {
    a: "text",
    b: 20,
    c: -0.5,
    d: 1e3,
    e: true,
    f: false,
    g: null,
    h: [],
    i: {},
    j: [1, [2, { k: [-3] }], "x"],
    k: { "a b": { c: [null] }, ";": ")" },
  };
  const args = Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  assertEquals(read(`call(${args.join(",")})`), [["call", values]]);
  assertEquals(read(`call( ${args.join(" ,\n ").replaceAll("=", " = ")} )`), [["call", values]]);
  assertEquals(read('call(a=[ 1 , { "b" : [ ] } ])'), [["call", { a: [1, { b: [] }] }]]);
});

Deno.test("ops takes brackets, separators, quotes and escapes in strings for text", () => {
  const texts = [';"', ")", "\\", '\\"', '"\\', "\\\\", "]", "}", "[{(,=", "\n\t\u0000", "ü🦊\u2028", "", "\\u0041"];
  for (const text of texts) {
    const json = JSON.stringify(text);
    assertEquals(read(`a(b=${json});c(d=[${json},{${json}:${json}}])`), [
      ["a", { b: text }],
      ["c", { d: [text, { [text]: text }] }],
    ]);
  }
  assertEquals(read('a(b="\\u0041\\ud83e\\udd8a")'), [["a", { b: "A🦊" }]]);
});

Deno.test("ops keeps an argument named like a property of every object as what it is", () => {
  const [call] = parseOps('a(__proto__={"x":1}, constructor=2)');
  assertEquals([...call?.args ?? []], [["__proto__", { x: 1 }], ["constructor", 2]]);
});

const REFUSED: readonly (readonly [ops: string, place: string, why: string])[] = [
  ["", "call 1 at character 1", "a verb is expected, got the end"],
  ["   ", "call 1 at character 4", "a verb is expected"],
  [";", "call 1 at character 1", "a verb"],
  ["status();", "call 2 at character 10", "a verb is expected, got the end"],
  ["status();;status()", "call 2 at character 10", "a verb"],
  ["status", "call 1 at character 7", '"(" is expected, got the end'],
  ["status(", "call 1 at character 8", "the name of an argument is expected, got the end"],
  ["status)", "call 1 at character 7", '"(" is expected'],
  ["status() x", "call 1 at character 10", '";" or the end is expected, got "x"'],
  ["status() status()", "call 1 at character 10", '";" or the end'],
  ["1()", "call 1 at character 1", "a verb"],
  ["a(1)", "call 1 at character 3", "the name of an argument"],
  ["a(b)", "call 1 at character 4", '"=" is expected'],
  ["a(b=)", "call 1 at character 5", 'the value of "b" as JSON is expected'],
  ["a(b=1,)", "call 1 at character 7", "the name of an argument"],
  ["a(,b=1)", "call 1 at character 3", "the name of an argument"],
  ["a(b=1 c=2)", "call 1 at character 7", '")" is expected, got "c=2)"'],
  ["a(b=1;c=2)", "call 1 at character 6", '")" is expected'],
  ["a(b=1, b=2)", "call 1 at character 8", 'the argument "b" is given twice'],
  ["a(b='x')", "call 1 at character 5", 'the value of "b" must be JSON'],
  ["a(b=word)", "call 1 at character 5", 'must be JSON, got "word"'],
  ["a(b=NaN)", "call 1 at character 5", "must be JSON"],
  ["a(b=01)", "call 1 at character 5", "must be JSON"],
  ["a(b=--1)", "call 1 at character 5", "must be JSON"],
  ['a(b="x)', "call 1 at character 5", 'the value of "b" does not end'],
  ['a(b="x\\")', "call 1 at character 5", 'the value of "b" does not end'],
  ['a(b="\n")', "call 1 at character 5", "must be JSON"],
  ['a(b="\\x")', "call 1 at character 5", "must be JSON"],
  ["a(b=[1)", "call 1 at character 5", 'the value of "b" does not end'],
  ["a(b=[1})", "call 1 at character 5", "must be JSON"],
  ['a(b={"x":"})', "call 1 at character 10", "does not end"],
  ['a(b={"x"=1})', "call 1 at character 5", "must be JSON"],
  ["a(b=[1,])", "call 1 at character 5", "must be JSON"],
  ["ok(); b(c=)", "call 2 at character 11", 'the value of "c"'],
];

for (const [ops, place, why] of REFUSED) {
  Deno.test(`ops are refused with the place when they are ${JSON.stringify(ops)}`, () => {
    const message = refusal(ops);
    assertStringIncludes(message, place);
    assertStringIncludes(message, why);
  });
}

Deno.test("ops may nest as deep as the limit and no deeper", () => {
  const nested = (depth: number): string => `a(b=${"[".repeat(depth)}${"]".repeat(depth)})`;
  assertEquals(parseOps(nested(MAX_DEPTH)).length, 1);
  assertStringIncludes(refusal(nested(MAX_DEPTH + 1)), `deeper than ${MAX_DEPTH}`);
  assertStringIncludes(refusal(`a(b=${"[".repeat(4_000_000)}`), `deeper than ${MAX_DEPTH}`);
});

Deno.test("ops may hold as many calls as the limit and no more", () => {
  const many = (count: number): string => Array<string>(count).fill("status()").join(";");
  assertEquals(parseOps(many(MAX_DISPATCH_CALLS)).length, MAX_DISPATCH_CALLS);
  assertStringIncludes(refusal(many(MAX_DISPATCH_CALLS + 1)), `at most ${MAX_DISPATCH_CALLS} calls`);
});

Deno.test("ops with too many values are refused before they are made", () => {
  assertStringIncludes(refusal(`a(b=[${"{},".repeat(1 << 18)}0])`), "at most 262144 values");
  assertStringIncludes(refusal(`a(${Array.from({ length: 1 << 18 }, (_, at) => `x${at}=0`)},y=0)`), "at most 262144");
});

Deno.test("ops reads a string of 8 MB", () => {
  const text = 'a"\\;)'.repeat(1_600_000);
  assertEquals(read(`a(b=${JSON.stringify(text)})`)[0]?.[1].b === text, true);
});
