import { assertEquals } from "@std/assert";
import { TextLogprobs } from "../../../../src/engine/answer/text_logprobs.ts";
import type { TokenLogprob } from "../../../../src/inference/events.ts";

function entry(token: string): TokenLogprob {
  return { token, bytes: [], logprob: -1, top: [] };
}

/** What was added, by name; and what is taken for each text. */
function taken(added: readonly (readonly [name: string, text: string])[], ...texts: readonly string[]): string[][] {
  const logprobs = new TextLogprobs();
  for (const [name, text] of added) logprobs.add(entry(name), text);
  return texts.map((text) => logprobs.take(text).map(({ token }) => token));
}

Deno.test("TextLogprobs gives a text its tokens, and keeps those of what is held back", () => {
  assertEquals(taken([["a", "Hel"], ["b", "lo"], ["c", " you"]], "Hello", " you"), [["a", "b"], ["c"]]);
});

Deno.test("TextLogprobs gives a token to the text that it begins in, once", () => {
  assertEquals(taken([["a", "x\n"], ["b", "y"]], "x", "\ny"), [["a"], ["b"]]);
});

Deno.test("TextLogprobs leaves out what was not sent before the text", () => {
  assertEquals(taken([["mark", "</think>"], ["space", "\n\n"], ["a", "So"]], "So"), [["a"]]);
});

Deno.test("TextLogprobs gives a character all tokens that it is made of", () => {
  assertEquals(taken([["a", "x"], ["half", ""], ["b", "é"], ["half2", ""]], "xé"), [["a", "half", "b"]]);
  assertEquals(taken([["a", "x"], ["half", ""], ["b", "é"]], "x", "é"), [["a"], ["half", "b"]]);
});

Deno.test("TextLogprobs forgets what was no text", () => {
  const logprobs = new TextLogprobs();
  logprobs.add(entry("thought"), "So");
  logprobs.drop();
  logprobs.add(entry("text"), "So");
  assertEquals(logprobs.take("So").map(({ token }) => token), ["text"]);
});
