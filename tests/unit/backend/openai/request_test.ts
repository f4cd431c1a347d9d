/** What a remote server cannot be asked is refused by its name. */
import { assertEquals, assertThrows } from "@std/assert";
import { InvalidRequestError } from "../../../../src/inference/errors.ts";
import type { GenerationRequest } from "../../../../src/inference/request.ts";
import { toOpenAiRequest } from "../../../../src/backend/openai/request.ts";
import { ask } from "../../../support/remote.ts";

const UNKNOWN: readonly (readonly [string, Partial<GenerationRequest>])[] = [
  ["progress", { progress: true }],
  ["logprobs_after_sampling", { logprobs: 1, logprobsAfterSampling: true }],
  ["generation_prompt", { generationPrompt: false }],
  ["infill_sampling", { infillSampling: true }],
  ["suffix", { messages: [], prompt: ["a"], suffix: "b" }],
];

for (const [field, more] of UNKNOWN) {
  Deno.test(`a remote server is not asked for ${field}`, () => {
    const { message } = assertThrows(() => toOpenAiRequest({ ...ask(), ...more }, "m"), InvalidRequestError);
    assertEquals(message, `"${field}" cannot be asked of a remote backend`);
  });
}

Deno.test("a remote server that is asked for tokens answers without them", () => {
  assertEquals(toOpenAiRequest({ ...ask(), returnTokens: true }, "m"), toOpenAiRequest(ask(), "m"));
});
