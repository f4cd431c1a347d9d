import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Language, Languages } from "../../../../src/grammar/language/language.ts";
import { languageOf } from "../../../../src/grammar/language/pattern.ts";
import { randomNumbers } from "../json_schema/support.ts";

const PATTERNS = [
  "^a+(b|c\\n)?$",
  "foo",
  "^foo|bar$",
  "^(?!x).*$",
  "^\\p{L}+$",
  "^(?=.*\\d)(?=.*[a-z]).{4,8}$",
  "^(?:(?!END).)*$",
  "\\bfoo\\b",
  "^(?<!a)b|(?<=x)y$",
  "^.*(?<!\\s)$",
  "[^a-c]{2,}$",
  "^(a|ab)(c|bcd)(d*)$",
  "^((a*)*|(b?){3})*$",
  "^[\\w.%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$",
  "^(?!.*--)[a-z-]+$",
  "^(([a-z]+)(,|$))+$",
  "\\d{2}(?!\\d)",
  "^$",
  "",
  "^(?:a(?=b)|b)*$",
  "^([a-z]{1,3}\\.){2,4}x$",
  "^\\S(.*\\S)?$",
  "a\\Bb",
  "^\\w+\\b.\\b\\w$",
  "(^a|b)c",
  "^a{0}b{1}$",
];
const ALPHABET = [..."aabbccxxyyzd1 -.,@\nfoobarEND😀é_A"];

/** A text of a language, by its own moves; `undefined` if it comes to no end soon. */
function walk(languages: Languages, language: Language, random: () => number): string | undefined {
  let at = language;
  let text = "";
  for (let length = 0; length < 200; length++) {
    if (at.nullable && random() < 0.3) return text;
    const moves = languages.moves(at);
    if (moves.length === 0) {
      assert(at.nullable, `nothing may follow ${JSON.stringify(text)}`);
      return text;
    }
    const { chars, to } = moves[Math.floor(random() * moves.length)] as (typeof moves)[number];
    const range = Math.floor(random() * chars.length / 2) * 2;
    const [from, last] = [chars[range] as number, chars[range + 1] as number];
    text += String.fromCodePoint(from + Math.floor(random() * (last - from + 1)));
    at = to;
  }
  return at.nullable ? text : undefined;
}

for (const pattern of PATTERNS) {
  Deno.test(`a pattern's language is what the expression matches when it is ${JSON.stringify(pattern)}`, () => {
    const languages = new Languages();
    const language = languageOf(pattern, languages);
    const expression = new RegExp(pattern, "u");
    const random = randomNumbers(1);
    for (let i = 0; i < 2000; i++) {
      const text = Array.from(
        { length: Math.floor(random() * 7) },
        () => ALPHABET[Math.floor(random() * ALPHABET.length)],
      ).join("");
      assertEquals(languages.has(language, text), expression.test(text), JSON.stringify(text));
    }
    let found = 0;
    for (let i = 0; i < 100; i++) {
      const text = walk(languages, language, random);
      if (text === undefined) continue;
      found++;
      assert(expression.test(text), JSON.stringify(text));
    }
    assert(found > 10);
  });
}

for (
  const [pattern, why] of [["(a)\\1", '"\\1"'], ["(?<n>a)\\k<n>", "\\k<n>"], ["(a", "no regular expression"], [
    "[b-a]",
    "no regular expression",
  ]]
) {
  Deno.test(`a pattern is refused with why when it is ${pattern}`, () => {
    assertThrows(() => languageOf(pattern as string, new Languages()), Error, why);
  });
}
