import { assert, assertEquals } from "@std/assert";
import { VocabularyIndex } from "../../../src/grammar/vocabulary_index.ts";

Deno.test("VocabularyIndex orders tokens by their bytes when many begin alike, are equal or hold zeros", () => {
  let state = 1;
  const random = (below: number): number => (state = (state * 48271) % 2147483647) % below;
  const pieces = Array.from(
    { length: 3000 },
    () => Uint8Array.from({ length: random(12) }, () => [0, 0, 1, 255, random(256)][random(5)] ?? 0),
  );
  const index = new VocabularyIndex(pieces.length, {
    piece: (token) => pieces[token] ?? new Uint8Array(0),
    ends: (token) => token % 500 === 0,
  });
  const text = (token: number): string => String.fromCharCode(...pieces[token] ?? []);
  const expected = [...pieces.keys()].filter((token) => token % 500 !== 0 && text(token) !== "").map(text).sort();
  const { order, starts, shared, bytes } = index;
  assertEquals([...order].map(text), expected);
  assertEquals(new Set(order).size, expected.length);
  assertEquals(index.ending, [0, 500, 1000, 1500, 2000, 2500]);
  for (const [i, token] of order.entries()) {
    assertEquals(bytes.subarray(starts[i], starts[i + 1]), pieces[token]);
    const before = i === 0 ? "" : text(order[i - 1] as number);
    const same = shared[i] as number;
    assert(text(token).slice(0, same) === before.slice(0, same) && same <= before.length);
    assert(text(token)[same] !== before[same] || same === text(token).length);
  }
});
