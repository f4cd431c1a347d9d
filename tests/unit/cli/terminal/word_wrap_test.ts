import { assertEquals } from "@std/assert";
import { WordWrap } from "../../../../src/cli/terminal/word_wrap.ts";

/** The text wrapped, in pieces of so many characters. */
function wrap(text: string, columns: number, size: number): string {
  const wrap = new WordWrap(() => columns);
  const characters = [...text];
  let out = "";
  for (let at = 0; at < characters.length; at += size) out += wrap.push(characters.slice(at, at + size).join(""));
  return out + wrap.flush();
}

for (
  const { what, text, wrapped } of [
    { what: "words", text: "Point inferd at a larger model", wrapped: "Point\ninferd at a\nlarger\nmodel" },
    { what: "a line that fits", text: "exactly ten\nfits", wrapped: "exactly ten\nfits" },
    { what: "lines and indentation", text: "one\n\n  two three\n", wrapped: "one\n\n  two three\n" },
    { what: "a word longer than a line", text: "a " + "x".repeat(30) + " b", wrapped: "a\n" + "x".repeat(30) + " b" },
    { what: "wide characters", text: "我们今天去北京看看", wrapped: "我们今天去\n北京看看" },
    { what: "wide words", text: "한국어 단어를 하나", wrapped: "한국어\n단어를 하나" },
    {
      what: "code",
      text: "```\nconst a = b + c + d;\n```\nthen words come",
      wrapped: "```\nconst a = b + c + d;\n```\nthen words\ncome",
    },
  ]
) {
  Deno.test(`word wrap: ${what}`, () => {
    for (const size of [1, 3, 1000]) assertEquals(wrap(text, 11, size), wrapped);
  });
}

Deno.test("word wrap writes each word as soon as it has ended", () => {
  const wrap = new WordWrap(() => 80);
  assertEquals([wrap.push("one tw"), wrap.push("o "), wrap.push("three"), wrap.flush()], ["one", " two", "", " three"]);
});
