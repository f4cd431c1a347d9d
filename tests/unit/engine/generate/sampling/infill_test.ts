/** Sampling for filling in text: what is left to choose from. */
import { assertEquals } from "@std/assert";
import { Sampler } from "../../../../../src/engine/generate/sampling/sampler.ts";

const encoder = new TextEncoder();
const PIECES = ["foo", "foobar", "x", "", "y", "end", "a", "b"];
const END = 5;
const VOCABULARY = {
  end: END,
  endsAnswer: (token: number): boolean => token === END,
  piece: (token: number): Uint8Array => encoder.encode(PIECES[token]),
};

/** The tokens that are drawn from these shares of all probability. */
function drawn(
  shares: readonly number[],
  sampling: { readonly temperature: number; readonly minP?: number },
): number[] {
  const logits = Float32Array.from(PIECES, (_, token) => Math.log(shares[token] ?? 0));
  const sampler = new Sampler({ topP: 1, topK: 0, seed: 7, ...sampling }, [], VOCABULARY);
  const found = new Set(Array.from({ length: 200 }, () => sampler.sample(logits)));
  return [...found].sort();
}

for (
  const [what, shares, expected] of [
    ["a token without a fifth of all is never drawn", [0.7, 0.1, 0.1, 0.05, 0.05], [0]],
    ["tokens that are sure are drawn in their proportion", [0.4, 0, 0.55, 0.03, 0.02], [0, 2]],
    ["tokens that begin alike count as one, the likelier", [0.15, 0.14, 0.5, 0.1, 0.11], [0, 2]],
    ["without a sure token the answer ends", [0.1, 0.05, 0.17, 0.17, 0.17, 0.005, 0.17, 0.165], [END]],
    ["where ending is likely the answer ends", [0.8, 0.01, 0.01, 0.01, 0.01, 0.16], [END]],
    ["a little chance to end stays", [0.4, 0, 0.57, 0, 0, 0.03], [0, 2, END]],
  ] as const
) {
  Deno.test(`infill: ${what}`, () => assertEquals(drawn(shares, { temperature: 1 }), [...expected]));
}

Deno.test("infill: without temperature the likeliest of the sure tokens is chosen, and min_p narrows before", () => {
  assertEquals(drawn([0.4, 0, 0.55, 0.03, 0.02], { temperature: 0 }), [2]);
  assertEquals(drawn([0.1, 0.05, 0.17, 0.17, 0.17, 0.005, 0.17, 0.165], { temperature: 0 }), [END]);
  assertEquals(drawn([0.3, 0, 0.65, 0.03, 0.02], { temperature: 1, minP: 0.5 }), [2]);
});

Deno.test("infill: a row is left as it was", () => {
  const logits = Float32Array.of(1, 4, 2, 3, 4, -1);
  const before = logits.slice();
  new Sampler({ temperature: 1, topP: 1, topK: 3, seed: 1 }, [], VOCABULARY).sample(logits);
  assertEquals(logits, before);
});
