import { assertEquals } from "@std/assert";
import { PromptLookup } from "../../../../../src/engine/generate/ahead/prompt_lookup.ts";
import { tokensOf } from "./support.ts";

function guess(prompt: string, answer: string, most = 4): string {
  const lookup = new PromptLookup(tokensOf(prompt));
  for (const token of tokensOf(answer)) lookup.push(token);
  return String.fromCharCode(...lookup.guess(most));
}

const CASES: readonly (readonly [what: string, prompt: string, answer: string, guess: string])[] = [
  ["what came after the same tokens in the prompt", "the quick brown fox. ", "the", " qui"],
  ["what came after them in the answer", "hello", "abcdefg abc", "defg"],
  ["what came after them the last time", "abc1 abc2 ", "abc", "2 ab"],
  ["nothing when nothing of the kind came", "hello", "world", ""],
  ["nothing of fewer than three tokens", "ab", "xab", ""],
  ["on and on what repeats itself", "", "xyxyx", "yxyx"],
  ["across the end of the prompt", "..abcd..ab", "c", "d..a"],
  ["nothing of a beginning that is too short", "a", "", ""],
];
for (const [what, prompt, answer, expected] of CASES) {
  Deno.test(`PromptLookup guesses ${what}`, () => {
    assertEquals(guess(prompt, answer), expected);
  });
}

Deno.test("PromptLookup guesses no more than is of use", () => {
  assertEquals([guess("abcdefgh ", "abc", 2), guess("abcdefgh ", "abc", 0), guess("abcdefgh ", "abc", -1)], [
    "de",
    "",
    "",
  ]);
});

Deno.test("PromptLookup reads a long prompt in portions, and guesses when it knows all of it", () => {
  const prompt = Int32Array.from({ length: 10_000 }, (_, i) => i);
  const lookup = new PromptLookup(prompt);
  for (const token of [500, 501, 502]) lookup.push(token);
  assertEquals([lookup.guess(2), lookup.guess(2), lookup.guess(2)], [[], [], [503, 504]]);
});
