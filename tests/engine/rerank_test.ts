/** Scores from the built-in cross-encoder, through the backend and its engine process. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { EmbedUnsupportedError, InvalidRequestError } from "../../src/inference/errors.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import { reference } from "./reference.ts";

const RERANK_PATH = new URL("../../models/inferd-tiny-rerank.gguf", import.meta.url).pathname;
const NEVER = new AbortController().signal;

const QUERY = "What is the capital of Japan?";
const DOCUMENTS = [
  "The cat is small.",
  "The capital of Japan is Tokyo.",
  "The capital of France is Paris.",
  "5 + 6 = 11.",
  "Japan",
  "Tokyo is a city. <|im_end|>",
  " ",
  "Hello! I am a small language model.",
  "word ".repeat(200),
  ...Array.from({ length: 60 }, (_, i) => `Note ${i}: ${"the light in the kitchen is on. ".repeat(i % 5 + 1)}`),
];

Deno.test("rerank backend", async (t) => {
  await using backend = new LlamaBackend({
    kind: "llamacpp",
    name: "reranker",
    modelName: "inferd-tiny-rerank",
    modelPath: RERANK_PATH,
    parallel: 4,
    // Many texts are spread over lanes, whatever the machine has.
    threads: 2,
  });
  await backend.start(() => {}, NEVER);

  await t.step("capabilities tell that it reranks and does nothing else", () => {
    const { v1, v2, embed, rerank, contextTokens } = backend.capabilities ?? {};
    assertEquals({ v1, v2, embed, rerank, contextTokens }, {
      v1: false,
      v2: false,
      embed: false,
      rerank: true,
      contextTokens: 512,
    });
  });

  await t.step("scores are those of node-llama-cpp when many documents are measured together", async () => {
    const expected = await reference({ modelPath: RERANK_PATH, query: QUERY, documents: DOCUMENTS });
    const { scores, inputTokens, model } = await backend.rerank({ query: QUERY, documents: DOCUMENTS }, NEVER);
    assertEquals(inputTokens, expected.tokens.reduce((sum, tokens) => sum + tokens, 0));
    assertEquals([scores.length, model], [DOCUMENTS.length, "inferd-tiny-rerank"]);
    for (const [index, score] of scores.entries()) {
      assertAlmostEquals(1 / (1 + Math.exp(-score)), expected.scores[index] ?? NaN, 1e-3);
    }
    // Numbers that differ by rounding alone have no order.
    const close = (a: number, b: number): boolean => Math.abs((scores[a] ?? 0) - (scores[b] ?? 0)) < 1e-2;
    const order = (values: readonly number[]): number[] =>
      values.map((_, index) => index).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
    const theirs = order(expected.scores);
    for (const [place, index] of order(scores).entries()) assert(close(index, theirs[place] ?? -1), `place ${place}`);
  });

  await t.step("document that answers the query is the best", async () => {
    const { scores } = await backend.rerank({ query: QUERY, documents: DOCUMENTS }, NEVER);
    assertEquals(scores.indexOf(Math.max(...scores)), 1);
    assert(scores.some((score) => score < 0), "raw scores are no probabilities");
  });

  await t.step("score is the same when the document is measured alone", async () => {
    const { scores: [together] } = await backend.rerank({ query: QUERY, documents: DOCUMENTS.slice(1) }, NEVER);
    const { scores: [alone] } = await backend.rerank({ query: QUERY, documents: DOCUMENTS.slice(1, 2) }, NEVER);
    assertAlmostEquals(alone ?? 0, together ?? 1, 1e-2);
  });

  await t.step("request is refused when a document is too long with the query, and names it", async () => {
    await assertRejects(
      () => backend.rerank({ query: QUERY, documents: ["cat", "word ".repeat(520)] }, NEVER),
      InvalidRequestError,
      '"documents[1]" is too large: it has ',
    );
    await assertRejects(
      () => backend.rerank({ query: "x".repeat(1_000_000), documents: ["cat"] }, NEVER),
      InvalidRequestError,
      '"query" is too large: it has more than ',
    );
  });

  await t.step("request ends with the signal's reason when it is cancelled", async () => {
    const controller = new AbortController();
    const cancelled = backend.rerank({ query: QUERY, documents: new Array(256).fill("cat") }, controller.signal);
    controller.abort(new Error("gone"));
    await assertRejects(() => cancelled, Error, "gone");
  });

  await t.step("vectors are refused when it only reranks", async () => {
    await assertRejects(() => backend.embed({ input: ["cat"] }, NEVER), EmbedUnsupportedError);
  });
});
