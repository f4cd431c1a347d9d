import { assertEquals, assertThrows } from "@std/assert";
import { GrammarError, parseGbnf } from "../../../src/engine/gbnf.ts";
import { Grammar, type Position } from "../../../src/engine/grammar.ts";

const encoder = new TextEncoder();

/** `yes`: the text is whole, `more`: it may go on, `no`: it may not come to this. */
function follow(gbnf: string, text: string | Uint8Array): "yes" | "more" | "no" {
  const grammar = new Grammar(parseGbnf(gbnf));
  let at: Position | undefined = grammar.start;
  // Byte by byte, as the smallest tokens would.
  for (const byte of typeof text === "string" ? encoder.encode(text) : text) {
    at = grammar.advance(at, Uint8Array.of(byte));
    if (at === undefined) return "no";
  }
  return grammar.canEnd(at) ? "yes" : "more";
}

const JSON_GRAMMAR = String.raw`
# objects, arrays and what is in them
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,3})? ws
ws ::= | " " | "\n" [ \t]{0,20}
`;

const FOLLOWED: readonly (readonly [string, string, "yes" | "more" | "no"])[] = [
  ['root ::= "ab"', "ab", "yes"],
  ['root ::= "ab"', "a", "more"],
  ['root ::= "ab"', "b", "no"],
  ['root ::= "ab"', "abc", "no"],
  ['root ::= "a" | "b"\n', "b", "yes"],
  ['root ::= "a" |\n  "b"\nother ::= "c"', "b", "yes"],
  ["root ::= [a-cx]+", "abxc", "yes"],
  ["root ::= [a-cx]+", "abd", "no"],
  ["root ::= [^a-c]", "d", "yes"],
  ["root ::= [^a-c]", "b", "no"],
  ["root ::= [^]", "b", "yes"],
  ["root ::= [a-]", "-", "yes"],
  ['root ::= "a"*', "", "yes"],
  ['root ::= "a"{2}', "a", "more"],
  ['root ::= "a"{2}', "aaa", "no"],
  ['root ::= "a"{2,}', "aaaaa", "yes"],
  ['root ::= "a"{0,2} "b"', "aab", "yes"],
  ['root ::= "a"{0,2} "b"', "aaab", "no"],
  ['root ::= ("a" | "b"){2} "c"?', "abc", "yes"],
  ['root ::= (("a")?)* "b"', "aab", "yes"],
  ['root ::= (""*)*', "", "yes"],
  ["root ::= .", "é", "yes"],
  ['root ::= "\\u00e9\\x41\\U0001F600"', "éA😀", "yes"],
  ["root ::= [α-ω]+", "λόγος", "no"],
  ["root ::= [α-ω]+", "λγς", "yes"],
  ['root ::= x "c"\nx ::= "a" x "b" | ', "aabbc", "yes"],
  ['root ::= x "c"\nx ::= "a" x "b" | ', "aabc", "no"],
  ['root ::= "a" # a comment "b"\n', "a", "yes"],
  [JSON_GRAMMAR, '{"a": [1, -2.5e+3, {"b": null}], "\\u00e9": "x\\ny"}', "yes"],
  [JSON_GRAMMAR, '{"a": [1, -2.5e+3, {"b": null}]', "more"],
  [JSON_GRAMMAR, '{"a": [1,, 2]}', "no"],
  [JSON_GRAMMAR, '{"a": "\n"}', "no"],
];
for (const [gbnf, text, expected] of FOLLOWED) {
  const when = `the text is ${JSON.stringify(text)} and it is ${JSON.stringify(gbnf.trim().slice(0, 40))}`;
  Deno.test(`a grammar says ${expected} when ${when}`, () => assertEquals(follow(gbnf, text), expected));
}

Deno.test("a grammar refuses the first bytes of a character when none it allows begins with them", () => {
  const [first, second] = encoder.encode("é");
  assertEquals(follow("root ::= [α-ω]", Uint8Array.of(first ?? 0)), "no");
  assertEquals(follow("root ::= [é]", Uint8Array.of(first ?? 0)), "more");
  assertEquals(follow("root ::= [é]", Uint8Array.of(first ?? 0, second ?? 0)), "yes");
  assertEquals(follow("root ::= .", Uint8Array.of(0x80)), "no");
  assertEquals(follow("root ::= .", Uint8Array.of(0xc3, 0x41)), "no");
  assertEquals(follow("root ::= [0-9]", Uint8Array.of(0xc0)), "no");
  assertEquals(follow("root ::= .", Uint8Array.of(0xe0, 0x80)), "no");
  assertEquals(follow("root ::= .", Uint8Array.of(0xed, 0xa0, 0x80)), "no");
});

const BROKEN: readonly (readonly [string, string])[] = [
  ["", 'no rule "root"'],
  ['other ::= "a"', 'no rule "root"'],
  ["root ::= missing", '"missing", which it does not define'],
  ['root ::= "a"\nroot ::= "b"', '"root" twice'],
  ["root := x", '"::=" is expected'],
  ['root ::= "a', 'the closing " is expected'],
  ["root ::= [a", 'the closing "]" is expected'],
  ["root ::= [z-a]", "ends before it begins"],
  ['root ::= ("a"', '")" is expected'],
  ["root ::= *", "something to repeat is expected"],
  ['root ::= "a"**', "something to repeat is expected"],
  ['root ::= "a"{x}', "a number is expected"],
  ['root ::= "a"{3,2}', "{3,2}"],
  ['root ::= "a"{100000}', "more than 2000 times"],
  ['root ::= "\\q"', "is expected"],
  ['root ::= "\\u12"', "4 hexadecimal digits"],
  ['root ::= "\\Uffffffff"', "8 hexadecimal digits"],
  ['root ::= "a" ^', "the end of the rule is expected"],
  ['root ::= root "a" | "b"', "left-recursive"],
  ['root ::= a\na ::= b "x"\nb ::= a | "y"', "left-recursive"],
  ['root ::= x root | "a"\nx ::= y\ny ::= ""', "left-recursive"],
  ['root ::= ("a"?)* root', "left-recursive"],
  ["root ::= <think>", "the end of the rule is expected"],
  ["(".repeat(60_000), "a rule's name is expected"],
  [`root ::= ${"(".repeat(60_000)}`, "more than 200 deep"],
  [`root ::= ${'"abcdefghij"{1999}'.repeat(20)}`, "more than 100000 symbols"],
];
for (const [gbnf, message] of BROKEN) {
  Deno.test(`parseGbnf refuses ${JSON.stringify(gbnf.slice(0, 40))} when asked to read it`, () => {
    assertThrows(() => new Grammar(parseGbnf(gbnf)), GrammarError, message);
  });
}

Deno.test("a grammar is refused while it is followed when it is too ambiguous", () => {
  const ambiguous = 'root ::= a{30}\na ::= "x"? b?\nb ::= "x"? c?\nc ::= "x"? a2?\na2 ::= ("x" | "x" b | "x" c)*';
  const grammar = new Grammar(parseGbnf(ambiguous));
  assertThrows(() => {
    let at: Position | undefined = grammar.start;
    for (let i = 0; i < 100_000 && at !== undefined; i++) at = grammar.advance(at, encoder.encode("x"));
    throw new GrammarError("never");
  }, GrammarError);
});

Deno.test("parseGbnf takes a chain of rules when it is as long as a grammar may be", () => {
  const chain = Array.from({ length: 4000 }, (_, i) => `r${i} ::= r${i + 1}`).join("\n");
  assertEquals(follow(`root ::= r0\n${chain}\nr4000 ::= "a"`, "a"), "yes");
});
