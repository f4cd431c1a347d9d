import { assertEquals } from "@std/assert";
import { matcherOf } from "../../../../src/grammar/language/matcher.ts";

Deno.test("matcherOf says what RegExp says, of patterns that are regular", () => {
  const patterns = ["", "a", "^a", "a$", "^a+$", "^(a|b){2,3}c?$", "^\\d{3}-\\w+$", "x?[^a]", "^.$", "^\\p{L}+$"];
  const texts = ["", "a", "b", "aa", "ab", "aba", "abac", "123-x_9", "123-", "ä", "\n", "𝒳", "xA"];
  for (const pattern of patterns) {
    const matches = matcherOf(pattern);
    for (const text of texts) {
      assertEquals([pattern, text, matches?.(text)], [pattern, text, new RegExp(pattern, "u").test(text)]);
    }
  }
});

Deno.test("matcherOf comes to an end with patterns that make a backtracking engine go on for ever", () => {
  const text = `${"a".repeat(50_000)}!`;
  for (const pattern of ["^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(\\w+\\s?)*$"]) {
    assertEquals(matcherOf(pattern)?.(text), false);
  }
});

Deno.test("matcherOf has no matcher for what is not regular", () => {
  assertEquals([matcherOf("(a)\\1"), matcherOf("(")], [undefined, undefined]);
});
