import { assert, assertEquals } from "@std/assert";
import { VocabularyIndex } from "../../../../src/grammar/vocabulary/vocabulary_index.ts";
import {
  CONTROLS,
  FIRST_TWIN,
  NO_TOKEN_HERE,
  SET_WORDS,
  type VocabularyTrie,
  WIDE,
} from "../../../../src/grammar/vocabulary/vocabulary_trie.ts";
import { finish } from "../../../../src/work/work.ts";

/** All tokens of a trie in its order, with the bytes that lead to them. */
function walk({ bytes, depths, ends, tokens, twins }: VocabularyTrie): [token: number, text: string][] {
  const found: [number, string][] = [];
  const path: number[] = [];
  for (let node = 0; node < bytes.length; node++) {
    const depth = depths[node] as number;
    assert(depth <= path.length, "a node is one below the one before at most");
    path.length = depth;
    path.push(bytes[node] as number);
    // All that is below is deeper, what comes after is not.
    const end = ends[node] as number;
    assert(end > node && end <= bytes.length);
    for (let below = node + 1; below < end; below++) assert((depths[below] as number) > depth);
    assert(end === bytes.length || (depths[end] as number) <= depth);
    const token = tokens[node] as number;
    const here = token > NO_TOKEN_HERE ? [token] : token === NO_TOKEN_HERE ? [] : twins[FIRST_TWIN - token] ?? [];
    for (const one of here) found.push([one, String.fromCharCode(...path)]);
  }
  return found;
}

Deno.test("VocabularyIndex orders tokens by their bytes when many begin alike, are equal or hold zeros", () => {
  let state = 1;
  const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
  const pieces = Array.from(
    { length: 3000 },
    () => Uint8Array.from({ length: random(12) }, () => [0, 0, 1, 255, random(256)][random(5)] ?? 0),
  );
  const index = finish(VocabularyIndex.of(pieces.length, {
    piece: (token) => pieces[token] ?? new Uint8Array(0),
    ends: (token) => token % 500 === 0,
  }));
  const text = (token: number): string => String.fromCharCode(...pieces[token] ?? []);
  const expected = [...pieces.keys()].filter((token) => token % 500 !== 0 && text(token) !== "");
  const found = walk(index.all);
  assertEquals(found.map(([, text]) => text), expected.map(text).sort());
  assertEquals(found.map(([token]) => token).sort((a, b) => a - b), expected);
  for (const [token, spelled] of found) assertEquals(spelled, text(token));
  assertEquals(index.ending, [0, 500, 1000, 1500, 2000, 2500]);
});

Deno.test("VocabularyIndex keeps tokens of some characters apart by how many they have", () => {
  const encoder = new TextEncoder();
  const texts = ["a", "the", " the", "日本", "日", "don't", 'say "', "a\\", "<b", "\n", "a\x7f", "x".repeat(300)];
  const pieces = [...texts.map((text) => encoder.encode(text)), encoder.encode("日").slice(0, 2)];
  const index = finish(VocabularyIndex.of(pieces.length, {
    piece: (token) => pieces[token] ?? new Uint8Array(0),
    ends: () => false,
  }));
  const letters = new Uint32Array([0, 1, 0, 0x7fffffe]);
  const within = (wide: boolean, most?: number): number[] => {
    const [bits = 0] = finish(
      index.strings.within({ ascii: letters, wide, key: `letters ${wide}` }, most),
    );
    return [...pieces.keys()].filter((token) => (bits >>> token & 1) === 1);
  };
  assertEquals(within(false, 0), []);
  assertEquals(within(true, 1), [0, 4, 12]);
  assertEquals(within(true, 2), [0, 3, 4, 12]);
  assertEquals(within(true, 4), [0, 1, 2, 3, 4, 12]);
  assertEquals(within(true), [0, 1, 2, 3, 4, 11, 12]);
  assertEquals(within(false, 254), [0, 1, 2]);
});

Deno.test("VocabularyIndex knows what is below each node", () => {
  const texts = ["a", "ab", "abc1", "aé", "b\n ", "b~", "ba"];
  const pieces = texts.map((text) => new TextEncoder().encode(text));
  const { all, contents } = finish(VocabularyIndex.of(pieces.length, {
    piece: (token) => pieces[token] ?? new Uint8Array(0),
    ends: () => false,
  }));
  const { sets, lengths } = contents;
  for (let node = 0; node < all.bytes.length; node++) {
    const expected = new Uint32Array(SET_WORDS);
    let longest = 0;
    for (let below = node + 1; below < (all.ends[node] as number); below++) {
      const byte = all.bytes[below] as number;
      const [word, bit] = byte < 0x20 ? [0, CONTROLS] : byte < 0x80 ? [byte >> 5, 1 << (byte & 31)] : [0, WIDE];
      expected[word] = (expected[word] as number) | bit;
      const path: number[] = [];
      for (let at = node + 1; at <= below; at++) path[all.depths[at] as number] = all.bytes[at] as number;
      path.length = (all.depths[below] as number) + 1;
      const starts = path.slice((all.depths[node] as number) + 1).filter((each) => each < 0x80 || each >= 0xc0);
      longest = Math.max(longest, starts.length);
    }
    assertEquals(sets.slice(node * SET_WORDS, (node + 1) * SET_WORDS), expected);
    assertEquals(lengths[node], longest);
  }
});

Deno.test("VocabularyIndex is made in small pieces", () => {
  let read = 0;
  const work = VocabularyIndex.of(20_000, {
    piece: (token) => (read++, new TextEncoder().encode(token.toString(36))),
    ends: () => false,
  });
  let pieces = 0;
  for (let before = 0; !work.next().done; before = read) {
    pieces++;
    assert(read - before <= 256, `${read - before} tokens are read at once`);
  }
  assert(pieces > 90, `${pieces} pieces`);
});
