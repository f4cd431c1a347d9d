import { assertEquals } from "@std/assert";
import { trieOf } from "../../../../src/grammar/language/trie.ts";

Deno.test("words come back out of a trie when they are long, empty or begin alike", () => {
  const long = "x".repeat(200_000);
  const words = [long, `${long}y`, "", "x", "é😀", "é"];
  const trie = trieOf([...words, ...words]);
  assertEquals([...trie.words()].sort(), words.toSorted());
  assertEquals(trie.lengths(), [[0, 2], [200_000, 200_001]]);
  assertEquals(trie.count, words.length);
});

Deno.test("a trie knows how many nodes are below each of its nodes", () => {
  const trie = trieOf(["ab", "abc", "ad", "e", "ab"]);
  assertEquals(trie.size, 5);
  assertEquals(trie.next.get(0x61)?.size, 3);
});
