import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { LanguageError, Languages } from "../../../../src/grammar/language/language.ts";
import { languageOf } from "../../../../src/grammar/language/pattern.ts";
import { finish } from "../../../../src/work/work.ts";

Deno.test("equal languages are one object when they are made in different ways", () => {
  const l = new Languages();
  assertStrictEquals(l.or(l.chars([97, 97]), l.chars([98, 98])), l.chars([97, 98]));
  const word = l.text("a");
  assertStrictEquals(l.and(l.any, word), word);
  assertStrictEquals(l.not(l.not(word)), word);
  assertStrictEquals(l.and(word, l.not(word)), l.none);
  assertStrictEquals(l.repeat(l.chars([0, 0x10ffff]), 0, Infinity), l.any);
  assertStrictEquals(l.or(l.text("ab"), l.text("c")), l.words(["c", "ab"]));
});

Deno.test("what may be left of a pattern repeats itself when it begins with anything", () => {
  const l = new Languages();
  // Texts of each length, so that all that may be left is looked at.
  const parts = [".*\\(c\\)$", "x y", "^.*aa.*ab"].map((pattern) => languageOf(pattern, l));
  assertEquals([10, 11, 40].map((length) => l.hasLength(l.and(...parts), length, length)), [true, true, true]);
  assertEquals(l.hasLength(l.and(...parts), 0, 9), false);
});

Deno.test("a language is known to be empty when nothing is in it", () => {
  const l = new Languages();
  const odd = languageOf("^(?:aa)*a$", l);
  const even = languageOf("^(?:aa)*$", l);
  assert(l.isEmpty(l.and(odd, even)));
  assert(!l.isEmpty(l.and(odd, l.not(even))));
  assert(l.isEmpty(l.and(languageOf("^a.*b$", l), languageOf("^.*c$", l))));
});

Deno.test("a language has a length only where a text has it", () => {
  const l = new Languages();
  const even = l.repeat(l.text("ab"), 1, Infinity);
  assertEquals([1, 2, 3, 4, 1_000_001, 1_000_002].map((n) => l.hasLength(even, n, n)), [
    false,
    true,
    false,
    true,
    false,
    true,
  ]);
  const looked = languageOf("^(?!aaa)(?:aa)*$", l);
  assertEquals([0, 1, 2, 3, 4].map((n) => l.hasLength(looked, n, n)), [true, false, true, false, false]);
});

Deno.test("a text that holds a stop is not in a language without it", () => {
  const l = new Languages();
  const language = l.without(["</a>", "<b"]);
  assert(l.has(language, "x < / <a> </a"));
  assert(!l.has(language, "x</a>"));
  assert(!l.has(language, "<b>"));
});

Deno.test("a language is refused when it would take too long to look through, until a text is followed", () => {
  const l = new Languages();
  const look = (): void => finish(l.explore(languageOf("^(?=.*a.{14}$)(?=.*b.{13}$)[ab]*$", l)));
  l.begin();
  assertThrows(look, LanguageError, "too complex");
  l.release();
  const at = languageOf("^(?:ab){2,1000000}$", l);
  assert(l.has(at, "ab".repeat(100_000)));
});

Deno.test("a text is refused where it takes too long to find out whether it can be completed", () => {
  const l = new Languages();
  l.begin();
  // Z completes all at once; without it, each letter is to have another number of characters behind it.
  const letters = Array.from({ length: 30 }, (_, i) => `(?=Z|.*${String.fromCharCode(97 + i % 26)}.{${i + 5}})`);
  const at = languageOf(`^${letters.join("")}.*$`, l);
  assert(!l.isEmpty(at));
  l.release();
  const before = l.work;
  assertThrows(() => l.moves(at), LanguageError, "too ambiguous");
  const work = l.work - before;
  assert(work < 60_000, `${work}`);
});

Deno.test("a text is refused where its next character has too many ways to go on", () => {
  const l = new Languages();
  l.begin();
  // There are as many as the text can be divided among the repetitions.
  let at = languageOf("^(?:(?:(?:x{1,100}){1,100}){1,100}){2}$", l);
  l.release();
  const follow = (): void => {
    for (let length = 0; length < 100; length++) {
      const [move] = l.moves(at);
      assert(move !== undefined);
      at = move.to;
    }
  };
  const begun = l.work;
  assertThrows(follow, LanguageError, "A pattern is too ambiguous to be followed");
  assert(l.work - begun < 500_000, `${l.work - begun} derivatives`);
  // Others are followed to their end, however long they are.
  at = languageOf("^(?:a?){1000}a{1003}$", l);
  for (let length = 0; length < 2000; length++) at = l.moves(at)[0]?.to ?? l.none;
  assert(at.nullable);
});
