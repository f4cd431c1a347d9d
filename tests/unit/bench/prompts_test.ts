import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { sharedPrompts, wordPrompts } from "../../../bench/prompts.ts";

Deno.test("wordPrompts gives every prompt other words, and each seed other prompts", () => {
  const draw = wordPrompts(50);
  const again = wordPrompts(50, 1000);
  const prompts = [draw(), draw(), again(), again()];
  assertEquals(prompts.map((prompt) => prompt.split(" ").length), [50, 50, 50, 50]);
  assertEquals(new Set(prompts).size, 4);
  assertEquals(wordPrompts(50)(), prompts[0]);
});

Deno.test("sharedPrompts gives prompts that begin with the same words and end with others", () => {
  const draw = sharedPrompts(40, { own: 10, seed: 7 });
  const [first, second] = [draw().split(" "), draw().split(" ")];
  assertEquals([first.length, first.slice(0, 40)], [50, second.slice(0, 40)]);
  assertNotEquals(first.slice(40), second.slice(40));
  const other = sharedPrompts(40, { own: 10, seed: 107 })();
  assert(!other.startsWith(first.slice(0, 40).join(" ")));
});
