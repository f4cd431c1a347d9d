import { assert, assertEquals, assertThrows } from "@std/assert";
import { GrammarError, type Rules } from "../../../src/grammar/rules.ts";
import { parseGbnf } from "../../../src/grammar/gbnf.ts";
import { compileSchema } from "../../../src/grammar/json_schema/json_schema.ts";
import { Grammar } from "../../../src/grammar/grammar.ts";
import type { Position } from "../../../src/grammar/grammar_state.ts";
import { GrammarConstraint } from "../../../src/grammar/grammar_constraint.ts";
import { finish, type Work } from "../../../src/work/work.ts";
import { GrammarBuilder } from "../../../src/grammar/grammar_builder.ts";
import { Grammars } from "../../../src/grammar/grammars.ts";
import { TokenSet } from "../../../src/grammar/masks/token_set.ts";
import { VocabularyIndex } from "../../../src/grammar/vocabulary/vocabulary_index.ts";

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

Deno.test("a grammar allows the beginning of a character only when the character can be one", () => {
  // What would be half of a surrogate pair.
  assertEquals(follow("root ::= .", Uint8Array.of(0xed, 0xa0)), "no");
  assertEquals(follow("root ::= .", Uint8Array.of(0xed, 0x9f)), "more");
  // What would be larger than any character.
  assertEquals(follow("root ::= .", Uint8Array.of(0xf4, 0x90)), "no");
  assertEquals(follow("root ::= .", Uint8Array.of(0xf4, 0x8f)), "more");
});

const CALL = 300;
const END = 301;
const NAMED_A = 302;

/** Every byte is a token; then some texts, some of them twice or within a character, and some that are not text. */
const PIECES: readonly Uint8Array[] = [
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ...[...'ab|abc|a|{|{"|"}|":|", "|é|éa|é|日|日本|:|true|tru|null}|123|[[|]]|],[|""|  |, |-1|0.5e|\\n|\\u00'.split("|")]
    .map((text) => encoder.encode(text)),
  encoder.encode("日").slice(0, 2),
  encoder.encode("a日").slice(0, 3),
  encoder.encode("日本").slice(1, 4),
];
const VOCABULARY = {
  piece: (token: number): Uint8Array => token === NAMED_A ? encoder.encode("a") : PIECES[token] ?? new Uint8Array(0),
  ends: (token: number): boolean => token === END,
};
const SIZE = 310;

function allowedOf(constraint: GrammarConstraint): number[] {
  return Array.from({ length: SIZE }, (_, token) => token).filter((token) => constraint.allows(token));
}

function bitsOf(bits: Uint32Array | undefined): number[] {
  return Array.from({ length: SIZE }, (_, token) => token).filter((token) => {
    return ((bits?.[token >> 5] ?? 0) >>> (token & 31) & 1) === 1;
  });
}

function built(make: (builder: GrammarBuilder) => ReturnType<GrammarBuilder["text"]>): Rules {
  const builder = new GrammarBuilder();
  return builder.build(make(builder));
}

const BOUND: Readonly<Record<string, Rules>> = {
  "JSON by GBNF": parseGbnf(JSON_GRAMMAR),
  "JSON by schema": built((b) => compileSchema({}, { builder: b, path: "schema" })),
  "short strings": built((b) =>
    compileSchema({ type: "array", items: { type: "string", maxLength: 3 } }, { builder: b, path: "schema" })
  ),
  "any text": parseGbnf("root ::= .*"),
  "letters of one language": parseGbnf("root ::= [a-z日-本]*"),
  "calls among text": built((b) =>
    b.repeat(b.choice([b.chars([0x61, 0x62]), [...b.token(CALL), ...b.text("{}")], b.token(NAMED_A)]), 0, Infinity)
  ),
};
for (const [name, rules] of Object.entries(BOUND)) {
  Deno.test(`a constraint tells all tokens at once as it tells each when it follows ${name}`, () => {
    const grammar = new Grammar(rules);
    const index = finish(VocabularyIndex.of(SIZE, VOCABULARY));
    let random = 1;
    let followed = 0;
    for (let answer = 0; answer < 20; answer++) {
      const constraint = new GrammarConstraint(grammar, index);
      for (let length = 0; length < 30 && !constraint.complete; length++) {
        const allowed = allowedOf(constraint);
        finish((constraint.find as () => Work<void>)());
        assertEquals(bitsOf(constraint.allowed()), allowed);
        assertEquals(allowedOf(constraint), allowed);
        const going = allowed.filter((token) => token !== END);
        random = (random * 1103515245 + 12345) % 2 ** 31;
        const token = going[random % going.length];
        if (token === undefined) break;
        constraint.accept(token);
        followed++;
      }
    }
    assert(followed > 50);
  });
}

Deno.test("a constraint cannot tell all tokens at once when it has no index", () => {
  assertEquals(new GrammarConstraint(parseGbnf('root ::= "a"'), VOCABULARY).allowed(), undefined);
});

/** Each letter leads to thousands of stacks, another one to other ones. */
function ambiguous(): { readonly rules: Rules; readonly index: VocabularyIndex } {
  const many = Array.from(
    { length: 4000 },
    (_, i) => `[a-z] [a-${"bcdefghijklmnopqrstuvwxyz"[i % 25]}]{${i % 7},9} "${i}"`,
  );
  const tokens = Array.from(
    { length: 26 ** 3 },
    (_, i) =>
      encoder.encode([i / 676, i / 26 % 26, i % 26].map((at) => String.fromCharCode(97 + Math.floor(at))).join("")),
  );
  const bytes = { piece: (token: number) => tokens[token] ?? new Uint8Array(0), ends: () => false };
  return {
    rules: parseGbnf(`root ::= ${many.join(" | ")}`),
    index: finish(VocabularyIndex.of(tokens.length, bytes)),
  };
}

Deno.test("a grammar gives up when it would take too long to find all tokens that it allows", () => {
  const { rules, index } = ambiguous();
  const grammar = new Grammar(rules);
  const before = grammar.work;
  assertThrows(() => finish(grammar.allowed(grammar.start, index)), GrammarError, "too ambiguous");
  const first = grammar.work - before;
  assert(first < 1_100_000, `${first} stacks`);
  // Whoever asks for the same is told at once.
  assertThrows(() => finish(grammar.allowed(grammar.start, index)), GrammarError, "too ambiguous");
  assertEquals(grammar.work - before, first);
});

Deno.test("a constraint does not say whether a token is allowed when that would take long", () => {
  const { rules, index } = ambiguous();
  const grammar = new Grammar(rules);
  const constraint = new GrammarConstraint(grammar, index);
  const before = grammar.work;
  const answers = Array.from({ length: 100 }, (_, token) => constraint.allows(token * 151));
  assert(answers.includes(undefined));
  assert(grammar.work - before < 100_000, `${grammar.work - before} stacks`);
});

Deno.test("a grammar finds what it allows in small pieces, which those who need it take turns at", () => {
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
  const rules = parseGbnf(
    `root ::= (${letters.map((letter, i) => `"${letter}" [a-z] "${"q".repeat(i + 1)}"`).join(" | ")})*`,
  );
  const grammar = new Grammar(rules);
  const { index } = ambiguous();
  const [one, other] = [grammar.allowed(grammar.start, index), grammar.allowed(grammar.start, index)];
  let pieces = 0;
  let most = 0;
  const piece = (work: typeof one): boolean => {
    const before = grammar.work;
    const { done = false } = work.next();
    most = Math.max(most, grammar.work - before);
    pieces++;
    return done;
  };
  assert(!piece(one));
  assert(!piece(other));
  // The first is cancelled; what it did is not lost.
  one.return(new TokenSet(index.size));
  while (!piece(other));
  const together = pieces;
  assert(most < 2000, `${most} stacks in a piece`);
  const alone = new Grammar(rules);
  pieces = 0;
  for (const work = alone.allowed(alone.start, index); !work.next().done;) pieces++;
  assert(together <= pieces + 2, `${together} pieces, ${pieces} alone`);
});

Deno.test("a grammar takes exactly the token it names when that token is no text", () => {
  const rules = built((b) => [...b.token(CALL), ...b.text("a"), ...b.optional(b.token(CALL))]);
  const constraint = new GrammarConstraint(rules, VOCABULARY);
  assertEquals(allowedOf(constraint), [CALL]);
  constraint.accept(CALL);
  assertEquals(allowedOf(constraint), [97, 258, NAMED_A]);
  constraint.accept(97);
  assertEquals(allowedOf(constraint), [CALL, END]);
  assert(!constraint.complete);
  constraint.accept(CALL);
  assertEquals(allowedOf(constraint), [END]);
  assert(constraint.complete);
});

Deno.test("a grammar takes a token both ways when it is text and is named", () => {
  const rules = built((b) => b.choice([[...b.token(NAMED_A), ...b.text("x")], b.text("ay"), b.text("abz")]));
  const constraint = new GrammarConstraint(rules, VOCABULARY);
  constraint.accept(NAMED_A);
  assertEquals(allowedOf(constraint), [98, 120, 121]);
  const byText = new GrammarConstraint(rules, VOCABULARY);
  byText.accept(97);
  assertEquals(allowedOf(byText), [98, 121]);
});

Deno.test("a grammar comes back to the same state when a string goes on", () => {
  const grammar = new Grammar(built((b) => compileSchema({ type: "string" }, { builder: b, path: "schema" })));
  const inside = grammar.advance(grammar.start, encoder.encode('"'));
  for (const text of ["a", "\\n", "日", "\\u00e9", "long".repeat(1000)]) {
    assertEquals(grammar.advance(inside ?? grammar.start, encoder.encode(text)) === inside, true, text);
  }
});

Deno.test("a grammar allows the same when it has forgotten what it knew", () => {
  // Every length of this string is another state, more than are remembered.
  const builder = new GrammarBuilder();
  const grammar = new Grammar(
    builder.build(compileSchema({ type: "string", maxLength: 15_000 }, { builder, path: "schema" })),
  );
  const index = finish(VocabularyIndex.of(SIZE, VOCABULARY));
  let at: Position = grammar.advance(grammar.start, encoder.encode('"')) as Position;
  const first = bitsOf(finish(grammar.allowed(at, index)).bits());
  const start = at;
  for (let length = 0; length < 15_000; length++) at = grammar.advance(at, encoder.encode("a")) as Position;
  assertEquals(grammar.advance(at, encoder.encode("a")), undefined);
  assertEquals(bitsOf(finish(grammar.allowed(start, index)).bits()), first);
});

Deno.test("Grammars compiles once what is asked for in the same words, and forgets the oldest", () => {
  const grammars = new Grammars<Grammar>();
  let compiled = 0;
  const of = (i: number): Grammar =>
    finish(grammars.of(`${i}`, function* (): Work<Grammar> {
      compiled++;
      yield;
      return new Grammar(parseGbnf(`root ::= "${i}"`));
    }));
  const first = of(1);
  assert(of(1) === first);
  assertEquals(compiled, 1);
  for (let i = 2; i < 20; i++) assert(of(i) !== first);
  assert(of(1) === first);
  for (let i = 20; i < 60; i++) of(i);
  assert(of(1) !== first);
});

function* inOnePiece<T>(value: T): Work<T> {
  yield;
  return value;
}

Deno.test("Grammars forgets what takes much memory, the oldest first", () => {
  const grammars = new Grammars<{ readonly bytes: number }>();
  const of = (key: string, bytes: number): { readonly bytes: number } =>
    finish(grammars.of(key, () => inOnePiece({ bytes })));
  const [large, small] = [of("large", 40 * 2 ** 20), of("small", 1000)];
  of("another", 40 * 2 ** 20);
  assert(of("small", 1000) === small);
  assert(of("large", 40 * 2 ** 20) !== large);
});

Deno.test("Grammars compiles once when two ask for the same at once, also when the first gives up", () => {
  const grammars = new Grammars<Grammar>();
  let begun = 0;
  const ask = (): Work<Grammar> =>
    grammars.of("key", function* (): Work<Grammar> {
      begun++;
      for (let piece = 0; piece < 3; piece++) yield;
      return new Grammar(parseGbnf('root ::= "a"'));
    });
  const [one, other] = [ask(), ask()];
  assert(!one.next().done);
  assert(!other.next().done);
  one.return(undefined as never);
  assert(!other.next().done);
  const { done, value } = other.next();
  assert(done);
  assertEquals(begun, 1);
  assert(finish(ask()) === value);
});

Deno.test("Grammars compiles again when what was compiled failed, or all who asked gave up", () => {
  const grammars = new Grammars<Grammar>();
  const failing = (): Work<Grammar> =>
    grammars.of("key", function* (): Work<Grammar> {
      yield;
      throw new GrammarError("It cannot be used");
    });
  assertThrows(() => finish(failing()), GrammarError, "cannot be used");
  const given = failing();
  given.next();
  given.return(undefined as never);
  const grammar = new Grammar(parseGbnf('root ::= "a"'));
  assert(finish(grammars.of("key", () => inOnePiece(grammar))) === grammar);
});
