/** Whose value of a sampling field holds: the request's, the backend's, the model's. */
import { assertEquals } from "@std/assert";
import { withDefaults } from "../../../../src/engine/generate/request_defaults.ts";
import { samplingOf } from "../../../../src/inference/recommended_sampling.ts";
import { type GenerationRequest, PLAIN } from "../../../../src/inference/request.ts";

const REQUEST: GenerationRequest = {
  ...PLAIN,
  messages: [{ role: "user", content: "Hello" }],
  sampling: { temperature: 1, topP: 0.9, topK: 40 },
  maxTokens: 100,
  stop: [],
};

Deno.test("sampling is the request's, else the backend's, else the model's, else ours", () => {
  const metadata = new Map([
    ["general.sampling.temp", "0.6"],
    ["general.sampling.top_p", "0.8"],
    ["general.sampling.min_p", "0.05"],
    ["general.sampling.top_k", "many"],
  ]);
  const sampling = { ...samplingOf(metadata), topP: 0.7, repeatPenalty: 1.1 };
  const asked = { ...REQUEST.sampling, repeatPenalty: 1.5 };
  const open: GenerationRequest = { ...REQUEST, sampling: asked, defaulted: ["temperature", "top_p", "top_k"] };
  assertEquals(withDefaults(open, { sampling }).sampling, {
    temperature: 0.6,
    topP: 0.7,
    topK: 40,
    minP: 0.05,
    repeatPenalty: 1.5,
  });
  const { temperature, topP } = withDefaults(REQUEST, { sampling }).sampling;
  assertEquals([temperature, topP], [1, 0.9]);
});

Deno.test("a request stays as it is where nothing is configured and the model recommends nothing", () => {
  assertEquals(withDefaults(REQUEST, { sampling: samplingOf(new Map()) }), REQUEST);
});
