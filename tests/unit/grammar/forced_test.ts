import { assert, assertEquals } from "@std/assert";
import type { Forced } from "../../../src/grammar/constraint.ts";
import { parseGbnf } from "../../../src/grammar/gbnf.ts";
import { Grammar } from "../../../src/grammar/grammar.ts";
import { GrammarBuilder } from "../../../src/grammar/grammar_builder.ts";
import type { Position } from "../../../src/grammar/grammar_state.ts";
import { compile } from "./json_schema/support.ts";

const encoder = new TextEncoder();

/** What has to come after a text. */
function forcedAfter(gbnf: string, bytes: Uint8Array): Forced | undefined {
  const grammar = new Grammar(parseGbnf(gbnf));
  return grammar.forced(grammar.advance(grammar.start, bytes) as Position);
}

const CASES: readonly (readonly [what: string, gbnf: string, before: string, forced: Forced | undefined])[] = [
  ["all of it when it is one text", 'root ::= "é ab"', "", { parts: ["é ab"], complete: true }],
  ["the rest when it has begun", 'root ::= "abc" [xy]', "a", { parts: ["bc"], complete: false }],
  ["nothing where two characters may come", 'root ::= "a" | "b"', "", undefined],
  ["what alternatives have in common", 'root ::= "name" | "names"', "n", { parts: ["ame"], complete: false }],
  ["nothing where the text may end", 'root ::= "a" "b"?', "a", undefined],
  ["nothing at the end", 'root ::= "a"', "a", undefined],
  ["nothing where optional space may come", 'root ::= ":" " "? "1"', ":", undefined],
];
for (const [what, gbnf, before, expected] of CASES) {
  Deno.test(`Grammar forces ${what}`, () => {
    assertEquals(forcedAfter(gbnf, encoder.encode(before)), expected);
  });
}

Deno.test("Grammar forces nothing within a character", () => {
  assertEquals(forcedAfter('root ::= "é"', Uint8Array.of(0xc3)), undefined);
});

Deno.test("Grammar forces a portion when what has to come has no end", () => {
  const { parts, complete } = forcedAfter('root ::= "a" root', new Uint8Array(0)) as Forced;
  assertEquals([parts.join("").length, complete], [256, false]);
});

Deno.test("Grammar forces named tokens with the texts between them", () => {
  const builder = new GrammarBuilder();
  const rules = builder.build([
    ...builder.text("a"),
    { token: 7 },
    ...builder.text("b"),
    ...builder.text("c"),
    ...builder.choice([builder.text("x"), [{ token: 8 }]]),
  ]);
  const grammar = new Grammar(rules);
  assertEquals(grammar.forced(grammar.start), { parts: ["a", 7, "bc"], complete: false });
});

Deno.test("Grammar forces a portion when each character takes long to find", () => {
  const grammar = new Grammar(compile({ type: "string", pattern: "^(?:a?){1000}a{1003}$" }));
  const start = grammar.work;
  const begun = grammar.advance(grammar.start, encoder.encode('"')) as Position;
  const followed = grammar.work;
  assert(followed - start < 20_000, `${followed - start} for the first character`);
  const { parts, complete } = grammar.forced(begun) as Forced;
  const found = parts.join("").length;
  assert(found > 0 && found < 256, `${found} characters`);
  assert(!complete && grammar.work - followed < 20_000, `${grammar.work - followed} for what is forced`);
});
