import { assertEquals, assertThrows } from "@std/assert";
import { checkLimits, LimitError } from "../../../../src/engine/generate/limits.ts";
import { Sampler } from "../../../../src/engine/generate/sampling/sampler.ts";
import { readSampling } from "../../../../src/surfaces/generation.ts";

const FEW_TOKENS = 16;

Deno.test("checkLimits refuses a top_k over the vocabulary that the caller asked for, and takes the default", () => {
  checkLimits(readSampling({}), FEW_TOKENS);
  checkLimits(readSampling({ top_k: FEW_TOKENS }), FEW_TOKENS);
  const message = '"top_k" must be an integer from 0 to 16, got 64';
  assertThrows(() => checkLimits(readSampling({ top_k: 64 }), FEW_TOKENS), LimitError, message);
});

Deno.test("Sampler draws from all tokens when the default top_k is over the vocabulary", () => {
  const sampler = new Sampler({ ...readSampling({ top_p: 1 }).sampling, seed: 1 });
  const drawn = new Set(Array.from({ length: 1000 }, () => sampler.sample(new Float32Array(FEW_TOKENS))));
  assertEquals(drawn.size, FEW_TOKENS);
});

Deno.test("checkLimits refuses a bias of a token that the vocabulary does not have", () => {
  checkLimits(readSampling({ logit_bias: { 15: -100 } }), FEW_TOKENS);
  const message = '"logit_bias" must have ids of tokens from 0 to 15, got 16';
  assertThrows(() => checkLimits(readSampling({ logit_bias: { 0: 1, 16: 1 } }), FEW_TOKENS), LimitError, message);
});
