import { assertEquals, assertThrows } from "@std/assert";
import { GrammarError, type GrammarSymbol } from "../../../src/grammar/rules.ts";
import { compileSchema } from "../../../src/grammar/json_schema/json_schema.ts";
import { Grammar } from "../../../src/grammar/grammar.ts";
import { GrammarBuilder } from "../../../src/grammar/grammar_builder.ts";

const encoder = new TextEncoder();

/** Those of the texts that the grammar takes. */
function taken(make: (builder: GrammarBuilder) => GrammarSymbol[], texts: readonly string[]): string[] {
  const builder = new GrammarBuilder();
  const grammar = new Grammar(builder.build(make(builder)));
  return texts.filter((text) => {
    const end = grammar.advance(grammar.start, encoder.encode(text));
    return end !== undefined && grammar.canEnd(end);
  });
}

const TEXTS = ["", "a", "b", "aa", "ab", "ba", "aaa", "aab", "aaaa", "é", "abcabc"];

Deno.test("GrammarBuilder takes what its parts say when they are joined", () => {
  assertEquals(taken((b) => b.text("ab"), TEXTS), ["ab"]);
  assertEquals(taken((b) => b.text(""), TEXTS), [""]);
  assertEquals(taken((b) => b.chars([0x62, 0xff]), TEXTS), ["b", "é"]);
  assertEquals(taken((b) => b.choice([b.text("a"), b.text("ba"), []]), TEXTS), ["", "a", "ba"]);
  assertEquals(taken((b) => [...b.optional(b.text("a")), ...b.text("a")], TEXTS), ["a", "aa"]);
  assertEquals(taken((b) => b.repeat(b.text("a"), 2, 3), TEXTS), ["aa", "aaa"]);
  assertEquals(taken((b) => b.repeat(b.text("a"), 0, 1), TEXTS), ["", "a"]);
  assertEquals(taken((b) => b.repeat(b.text("a"), 3, Infinity), TEXTS), ["aaa", "aaaa"]);
  assertEquals(taken((b) => b.repeat(b.text("abc"), 2, 2), TEXTS), ["abcabc"]);
  assertEquals(taken((b) => b.repeat(b.optional(b.text("a")), 0, Infinity), TEXTS), ["", "a", "aa", "aaa", "aaaa"]);
  assertEquals(
    taken((b) => [...compileSchema({ const: "a" }, { builder: b, path: "s" }), ...b.text("!")], ['"a"', '"a"!']),
    ['"a"!'],
  );
});

Deno.test("GrammarBuilder takes a part in several places when it is used again", () => {
  assertEquals(
    taken((b) => {
      const part = b.choice([b.text("a"), b.text("b")]);
      return [...part, ...part];
    }, TEXTS),
    ["aa", "ab", "ba"],
  );
});

Deno.test("GrammarBuilder takes what a rule says when it contains itself", () => {
  const nested = (b: GrammarBuilder): GrammarSymbol[] => {
    const rule = b.declare();
    b.define(rule, [[...b.text("("), { rule }, ...b.text(")")], []]);
    return [{ rule }];
  };
  assertEquals(taken(nested, ["", "()", "(())", "(()", "())"]), ["", "()", "(())"]);
});

Deno.test("GrammarBuilder takes exactly the texts when there are many that begin alike", () => {
  const names = Array.from({ length: 5000 }, (_, i) => `name ${i * 7}`).concat("", "n", "é", "😀", "😁", "name 7");
  assertEquals(
    taken((b) => b.texts(names), [
      "",
      "n",
      "na",
      "name 7",
      "name 8",
      "name 700",
      "name 34993",
      "name 35000",
      "é",
      "😁",
    ]),
    ["", "n", "name 7", "name 700", "name 34993", "é", "😁"],
  );
});

const REFUSED: Readonly<Record<string, readonly [(builder: GrammarBuilder) => GrammarSymbol[], string]>> = {
  "a text is half a character": [(b) => b.text("a\ud800"), "half of a surrogate pair"],
  "a text is too long": [(b) => b.text("a".repeat(300_000)), "more than 100000 symbols"],
  "texts are too long": [(b) => b.texts(["a".repeat(300_000), "b"]), "more than 100000 symbols"],
  "something is repeated too often": [(b) => b.repeat(b.text("ab"), 60_000, 60_000), "more than 100000 symbols"],
  "something long is repeated once": [(b) => b.repeat(b.text("a".repeat(199_000)), 1, 1), "more than 100000 symbols"],
  "something may be repeated too often": [(b) => b.repeat(b.text("ab"), 0, 60_000), "more than 100000 symbols"],
  "there are too many symbols in all": [(b) => {
    const text = b.text("a".repeat(1000));
    return Array.from({ length: 101 }, () => b.choice([text, []])).flat();
  }, "more than 100000 symbols"],
  "a rule begins with itself": [(b) => {
    const rule = b.declare();
    b.define(rule, [[...b.optional(b.text("a")), { rule }], b.text("b")]);
    return [{ rule }];
  }, "left-recursive"],
  "a rule is not defined": [(b) => [{ rule: b.declare() }], "does not define"],
  "a schema cannot be compiled": [
    (b) => compileSchema({ not: {} }, { builder: b, path: "tools[0].input_schema" }),
    '"tools[0].input_schema.not"',
  ],
};
for (const [when, [make, message]] of Object.entries(REFUSED)) {
  Deno.test(`GrammarBuilder refuses to build when ${when}`, () => {
    const builder = new GrammarBuilder();
    assertThrows(() => builder.build(make(builder)), GrammarError, message);
  });
}
