/** llama-server's `return_progress`, `timings_per_token` and `post_sampling_probs`, on every path that has them. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const LONG = "The quick brown fox jumps over the lazy dog. ".repeat(20);
const PATHS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["/completion", { prompt: LONG, n_predict: 6 }],
  ["/v1/completions", { prompt: LONG, max_tokens: 6 }],
  ["/v1/chat/completions", { messages: [{ role: "user", content: LONG }], max_tokens: 6 }],
];

interface Chunk {
  readonly prompt_progress?: { total: number; cache: number; processed: number; time_ms: number };
  readonly timings?: Record<string, number>;
  readonly content?: string;
  readonly stop?: boolean;
  readonly index?: number;
  readonly tokens_predicted?: number;
  readonly tokens_evaluated?: number;
  readonly choices?: {
    text?: string;
    delta?: { content?: string | null; role?: string };
    finish_reason?: string | null;
  }[];
}

async function stream(bridge: BridgeUnderTest, path: string, body: Record<string, unknown>): Promise<Chunk[]> {
  const { status, text } = await bridge.post(path, { ...body, stream: true, temperature: 0, ignore_eos: true });
  assertEquals(status, 200, text);
  return text.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
}

function textOf({ content, choices }: Chunk): string {
  return content ?? choices?.[0]?.text ?? choices?.[0]?.delta?.content ?? "";
}

Deno.test("return_progress tells how far a prompt is, from what was cached up to its end", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  for (const [path, body] of PATHS) {
    // An answer with the same beginning leaves it in the cache.
    for (const isCached of [false, true]) {
      const chunks = await stream(bridge, path, { ...body, return_progress: true, cache_prompt: true });
      const steps = chunks.flatMap(({ prompt_progress }) => prompt_progress ?? []);
      const [first, ...others] = steps;
      assert(first !== undefined && others.length > 0, path);
      assertEquals(first.processed, first.cache, path);
      if (isCached) assert(first.cache > 0, path);
      let processed = first.processed;
      for (const step of others) {
        assert(step.processed > processed, path);
        assertEquals([step.total, step.cache], [first.total, first.cache]);
        processed = step.processed;
      }
      assertEquals(processed, first.total, path);
      const at = chunks.findLastIndex(({ prompt_progress }) => prompt_progress !== undefined);
      assert(chunks.slice(0, at).every((chunk) => textOf(chunk) === ""), path);
      assert(chunks.slice(0, at).every((chunk) => chunk.timings === undefined), path);
    }
  }
  // A prompt of more tokens than a step takes.
  const long = await stream(bridge, "/completion", {
    prompt: `Once. ${LONG}${LONG}`,
    n_predict: 1,
    return_progress: true,
  });
  assert(long.filter(({ prompt_progress }) => prompt_progress !== undefined).length > 2);
});

Deno.test("timings_per_token tells with each piece how many tokens there are and how long they took", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  for (const [path, body] of PATHS) {
    const chunks = await stream(bridge, path, { ...body, timings_per_token: true });
    const told = chunks.filter((chunk) => textOf(chunk) !== "").map(({ timings }) => timings);
    assert(told.length > 1, path);
    let last = 0;
    for (const timings of told) {
      assert(timings !== undefined, path);
      const { prompt_n = 0, cache_n = 0, predicted_n = 0, prompt_per_second = 0, predicted_ms = -1 } = timings;
      assert(prompt_n + cache_n > 0 && prompt_per_second > 0 && predicted_ms >= 0, path);
      assert(predicted_n > last && predicted_n <= 6, path);
      last = predicted_n;
    }
    assertEquals(last, 6);
    // Without it, only the last event has them.
    const plain = await stream(bridge, path, body);
    assertEquals(plain.filter(({ timings }) => timings !== undefined).length, 1, path);
  }
});

Deno.test("/completion tells with each piece how many tokens there are", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const chunks = await stream(bridge, "/completion", { prompt: ["Once.", LONG], n_predict: 6 });
  for (const index of [0, 1]) {
    const pieces = chunks.filter((chunk) => chunk.index === index);
    const last = pieces.at(-1);
    assert(last?.stop && pieces.length > 2);
    assertEquals(last.tokens_predicted, 6);
    assertEquals(new Set(pieces.map(({ tokens_evaluated }) => tokens_evaluated)).size, 1);
    let said = 0;
    for (const { tokens_predicted = 0 } of pieces.slice(0, -1)) {
      assert(tokens_predicted > said && tokens_predicted <= 6);
      said = tokens_predicted;
    }
  }
});

Deno.test("/completion with n_predict 0 processes the prompt and generates nothing", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const body = { prompt: LONG, temperature: 0, n_probs: 1, return_tokens: true };
  const { json } = await bridge.post("/completion", { ...body, n_predict: 0 });
  const { content, tokens, tokens_predicted, stop_type, timings, generation_settings } = json;
  assertEquals([content, tokens, tokens_predicted, stop_type], ["", [], 0, "limit"]);
  assertEquals((generation_settings as { n_predict: number }).n_predict, 0);
  assertEquals((timings as { cache_n: number }).cache_n, 0);
  const [last, ...others] = await stream(bridge, "/completion", { ...body, n_predict: 0 });
  assertEquals([last?.content, last?.stop, last?.tokens_predicted, others], ["", true, 0, []]);
  // The next request finds it in the cache.
  const next = await bridge.post("/completion", { ...body, n_predict: 2 });
  assert((next.json.timings as { cache_n: number }).cache_n > 50, next.text);
});

Deno.test("responses: llama-server's fields say how far the prompt and the answer are", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { text } = await bridge.post("/v1/responses", {
    input: LONG,
    stream: true,
    max_output_tokens: 5,
    return_progress: true,
    timings_per_token: true,
  });
  type Event = Chunk & { type: string };
  const events: Event[] = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) =>
    JSON.parse(line.slice(6))
  );
  const steps = events.filter(({ prompt_progress }) => prompt_progress !== undefined);
  assert(steps.length > 1 && steps.every(({ type, timings }) => type === "response.in_progress" && timings));
  assertEquals([steps[0]?.timings?.prompt_n, steps[0]?.timings?.prompt_ms], [0, 0]);
  const { prompt_progress: last } = steps.at(-1) ?? {};
  assertEquals(last?.processed, last?.total);
  const deltas = events.filter(({ type }) => type === "response.output_text.delta");
  assert(deltas.length > 0 && deltas.every(({ timings }) => (timings?.predicted_n ?? 0) > 0));
  assert((events.at(-1)?.timings?.prompt_per_second ?? 0) > 0);
});

Deno.test("post_sampling_probs are the chances that sampling drew with", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  interface Probability {
    readonly id: number;
    readonly token: string;
    readonly bytes: number[];
    readonly prob: number;
    readonly top_probs: Omit<Probability, "top_probs">[];
  }
  const prompt = "The capital of";
  const ask = async (path: string, more: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const { status, text, json } = await bridge.post(path, { seed: 7, post_sampling_probs: true, ...more });
    assertEquals(status, 200, text);
    return json;
  };
  const native = { prompt, n_predict: 4, n_probs: 5 };
  const answer = await ask("/completion", { ...native, temperature: 1, top_k: 3, top_p: 1 });
  const drawn = answer.completion_probabilities as Probability[];
  assert(drawn.length > 0);
  for (const { prob, top_probs } of drawn) {
    assert(prob > 0 && prob <= 1);
    // Three tokens are left to choose from, though five were asked for.
    assert(top_probs.length <= 3 && top_probs.every((other) => other.prob > 0 && other.prob <= 1));
    assertAlmostEquals(top_probs.reduce((sum, other) => sum + other.prob, 0), 1, 1e-6);
    assert(top_probs.some((other) => other.prob === prob));
  }
  // Before sampling, the first three of the same prompt have less.
  const { completion_probabilities: before } = await ask("/completion", {
    ...native,
    temperature: 1,
    post_sampling_probs: false,
  });
  type Logged = { readonly logprob: number; readonly top_logprobs: { logprob: number; token: string }[] };
  const [first] = before as Logged[];
  assertEquals(
    first?.top_logprobs.slice(0, 3).map(({ token }) => token),
    drawn[0]?.top_probs.map(({ token }) => token),
  );
  assert(Math.exp(first?.top_logprobs[0]?.logprob ?? 0) < (drawn[0]?.top_probs[0]?.prob ?? 0));
  // A low temperature makes the best one nearly certain, and the lowest makes it the only one.
  const cold = await ask("/completion", { ...native, temperature: 0.1, top_k: 3, top_p: 1 });
  assert(
    ((cold.completion_probabilities as Probability[])[0]?.top_probs[0]?.prob ?? 0) >
      (drawn[0]?.top_probs[0]?.prob ?? 1),
  );
  const greedy = await ask("/completion", { ...native, temperature: 0 });
  for (const { prob, top_probs } of greedy.completion_probabilities as Probability[]) {
    assertEquals([prob, top_probs.map((other) => other.prob)], [1, [1]]);
  }

  const chat = { messages: [{ role: "user", content: "What is the capital of France?" }], max_tokens: 4 };
  const { choices } = await ask("/v1/chat/completions", { ...chat, logprobs: true, top_logprobs: 2, top_k: 4 });
  const [choice] = choices as { logprobs: { content: Probability[] } }[];
  const [one] = choice?.logprobs.content ?? [];
  assert(one !== undefined && one.prob > 0 && one.top_probs.length <= 2 && Number.isInteger(one.id));
  const older = await ask("/v1/completions", { prompt, max_tokens: 4, logprobs: 2 });
  const [text] = older.choices as { logprobs: { content: Probability[] } }[];
  assert((text?.logprobs.content[0]?.prob ?? 0) > 0);
  // Where no probabilities are asked for there are none.
  assertEquals((await ask("/completion", { prompt, n_predict: 2 })).completion_probabilities, undefined);
});
