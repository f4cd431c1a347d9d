import { assert, assertEquals } from "@std/assert";
import { VocabularyIndex } from "../../../../src/grammar/vocabulary/vocabulary_index.ts";
import { FIRST_TWIN, NO_TOKEN_HERE, type VocabularyTrie } from "../../../../src/grammar/vocabulary/vocabulary_trie.ts";
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

Deno.test("VocabularyIndex keeps plain tokens apart by how many characters they have", () => {
  const encoder = new TextEncoder();
  const texts = ["a", "the", " the", "日本", "日", "don't", 'say "', "a\\", "<b", "\n", "a\x7f", "x".repeat(40)];
  const pieces = [...texts.map((text) => encoder.encode(text)), encoder.encode("日").slice(0, 2)];
  const index = finish(VocabularyIndex.of(pieces.length, {
    piece: (token) => pieces[token] ?? new Uint8Array(0),
    ends: () => false,
  }));
  const plain = (most: number): string[] =>
    texts.filter((_, token) => ((index.plainUpTo(most)?.[0] ?? 0) >>> token & 1) === 1);
  assertEquals(plain(0), []);
  assertEquals(plain(1), ["a", "日"]);
  assertEquals(plain(2), ["a", "日本", "日"]);
  assertEquals(plain(3), ["a", "the", "日本", "日"]);
  assertEquals(plain(100), ["a", "the", " the", "日本", "日"]);
  assertEquals(index.longestPlain, 4);
  assertEquals(walk(index.special).map(([token]) => token).sort((a, b) => a - b), [5, 6, 7, 8, 9, 10, 11, 12]);
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
