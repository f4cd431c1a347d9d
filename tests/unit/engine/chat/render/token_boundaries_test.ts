/** Where long texts may be cut. */
import { assert, assertEquals } from "@std/assert";
import { SpecialTokens } from "../../../../../src/engine/chat/dialect/marker.ts";
import { promptTokens } from "../../../../../src/engine/chat/render/prompt_tokens.ts";
import { boundaryFrom } from "../../../../../src/engine/chat/render/token_boundaries.ts";
import { finish } from "../../../../../src/work/work.ts";

const specialTokens = [
  { name: "<|end|>", control: true },
  { name: "a<|end", control: true },
  { name: "|><|x|>", control: true },
  { name: "<|end|>!", control: true },
  { name: "<tool>", control: false },
  { name: "[INST]", control: true },
].map((special, token) => ({ ...special, token }));
const options = { guarded: new SpecialTokens(specialTokens), specialTokens };

Deno.test("A text is cut before a control token that llama.cpp finds there whatever stands around it, and nowhere else", () => {
  for (
    const [text, at] of [
      ["hi<|end|>", 2],
      ["<|end|>hi<|end|>", 9],
      ["hi<|end|>! ", 2],
      // White space before it may belong to it.
      ["hi <|end|>", 10],
      // Another name begins before it, or ends after it.
      ["a<|end|>", 8],
      ["b<|end|><|x|>", 13],
      // No control token, or one that may be the end of another.
      ["hi<tool>", 8],
      ["hi[INST]", 8],
      ["nothing", 7],
    ] as const
  ) {
    assertEquals([text, finish(boundaryFrom(text, 0, options))], [text, at]);
  }
});

Deno.test("A long conversation is tokenized in portions of some thousand characters, with a slice for each", () => {
  const lengths: number[] = [];
  const work = promptTokens({ text: "hello<|end|>".repeat(20_000), input: [] }, {
    model: {
      named: { BOS: -1 },
      addsBos: false,
      spacePrefix: false,
      specialTokens,
      tokenize: (text) => {
        lengths.push(text.length);
        return new Int32Array(text.length);
      },
    },
    guarded: options.guarded,
  });
  let slices = 1;
  let piece = work.next();
  for (; !piece.done; piece = work.next()) slices++;
  assertEquals(piece.value.length, 240_000);
  assert(Math.max(...lengths) < 4200, `${Math.max(...lengths)} characters at once`);
  assert(slices >= lengths.length);
});
