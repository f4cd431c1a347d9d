/** Vectors from the built-in embedding model, through the backend and its engine process. */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { BackendNotice } from "../../src/inference/backend.ts";
import {
  BackendUnavailableError,
  ContextLengthError,
  InvalidRequestError,
  RerankUnsupportedError,
} from "../../src/inference/errors.ts";
import { PLAIN } from "../../src/inference/request.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import type { LlamaConfig, LlamaOptions } from "../../src/backend/llama/options.ts";
import { fakeEngineCommand } from "../support/fake_engine.ts";
import { EngineChild, MODEL_PATH } from "./engine_child.ts";
import { reference } from "./reference.ts";

const EMBED_PATH = new URL("../../models/inferd-tiny-embed.gguf", import.meta.url).pathname;
const NEVER = new AbortController().signal;

/** Start a backend on the embedding model. */
async function start(
  config: Partial<LlamaConfig> = {},
  options: LlamaOptions & { readonly notify?: (notice: BackendNotice) => void } = {},
): Promise<LlamaBackend> {
  const { notify = (): void => {}, ...rest } = options;
  const backend = new LlamaBackend({
    kind: "llamacpp",
    name: "embedder",
    modelName: "inferd-tiny-embed",
    modelPath: EMBED_PATH,
    parallel: 4,
    // Many texts are spread over lanes, whatever the machine has.
    threads: 2,
    ...config,
  }, rest);
  await backend.start(notify, NEVER);
  return backend;
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += (a[i] as number) * (b[i] as number);
    aa += (a[i] as number) ** 2;
    bb += (b[i] as number) ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

const TEXTS = [
  "What is the capital of Japan?",
  "The capital of Japan is Tokyo.",
  "cat",
  " ",
  "  leading and trailing spaces  ",
  "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich. 日本語のテキスト 😀",
  "Names like <|im_start|> and <|im_end|> and <|endoftext|> are only text.",
  "line\nbreaks\tand tabs\r\n",
  "word ".repeat(300),
  ...Array.from({ length: 60 }, (_, i) => `Note ${i}: ${"the light in the kitchen is on. ".repeat(i % 7 + 1)}`),
];

Deno.test("embedding backend", async (t) => {
  await using backend = await start();

  await t.step("capabilities tell that it embeds and does nothing else", () => {
    const { v1, v2, embed, rerank, contextTokens, tools, thinking } = backend.capabilities ?? {};
    assertEquals(
      { v1, v2, embed, rerank, contextTokens, tools, thinking },
      { v1: false, v2: false, embed: true, rerank: false, contextTokens: 512, tools: false, thinking: false },
    );
  });

  await t.step("vectors are those of node-llama-cpp when many texts are encoded together", async () => {
    const expected = await reference({ modelPath: EMBED_PATH, texts: TEXTS });
    const answer = await backend.embed({ input: TEXTS }, NEVER);
    assertEquals([answer.vectors.length, answer.dimensions, answer.model], [TEXTS.length, 128, "inferd-tiny-embed"]);
    assertEquals(answer.inputTokens, expected.tokens.reduce((sum, tokens) => sum + tokens, 0));
    for (const [index, vector] of answer.vectors.entries()) {
      const likeness = cosine(vector, expected.vectors[index] ?? []);
      assert(likeness > 0.9999, `text ${index}: ${likeness}`);
      assertAlmostEquals(Math.hypot(...vector), 1, 1e-5);
    }
  });

  await t.step("vector is the same when the text is encoded alone", async () => {
    const [together] = (await backend.embed({ input: TEXTS }, NEVER)).vectors;
    const [alone] = (await backend.embed({ input: TEXTS.slice(0, 1) }, NEVER)).vectors;
    assert(cosine(together ?? [], alone ?? []) > 0.999999);
  });

  await t.step("vectors are the same when there is only one thread", async () => {
    await using single = await start({ threads: 1 });
    const { vectors } = await single.embed({ input: TEXTS }, NEVER);
    const { vectors: expected } = await backend.embed({ input: TEXTS }, NEVER);
    vectors.forEach((vector, i) => assert(cosine(vector, expected[i] ?? []) > 0.9999, `text ${i}`));
  });

  await t.step("question is nearest to the sentence that answers it", async () => {
    const { vectors: [question, ...answers] } = await backend.embed({
      input: ["What is the capital of Japan?", "The capital of Japan is Tokyo.", "5 + 6 = 11.", "The cat is small."],
    }, NEVER);
    const likeness = answers.map((answer) => cosine(question ?? [], answer));
    assertEquals(likeness.indexOf(Math.max(...likeness)), 0);
  });

  await t.step("vectors are cut and have unit length when dimensions are fewer", async () => {
    const [whole] = (await backend.embed({ input: ["cat"] }, NEVER)).vectors;
    const { vectors: [cut], dimensions } = await backend.embed({ input: ["cat"], dimensions: 32 }, NEVER);
    assertEquals([dimensions, cut?.length], [32, 32]);
    assertAlmostEquals(Math.hypot(...cut ?? []), 1, 1e-5);
    assert(cosine(cut ?? [], whole?.subarray(0, 32) ?? []) > 0.999999);
    assertEquals((await backend.embed({ input: ["cat"], dimensions: 128 }, NEVER)).dimensions, 128);
  });

  await t.step("request is refused when dimensions are more than the model has", async () => {
    await assertRejects(
      () => backend.embed({ input: ["cat"], dimensions: 129 }, NEVER),
      InvalidRequestError,
      '"dimensions" must be an integer from 1 to 128, got 129',
    );
  });

  await t.step("request is refused when one text is too long, and names it", async () => {
    const long = "word ".repeat(600);
    await assertRejects(
      () => backend.embed({ input: ["cat", "cat", long] }, NEVER),
      ContextLengthError,
      '"input[2]" is too large: it has 605 tokens, the maximum is 512',
    );
    await assertRejects(
      () => backend.embed({ input: ["x".repeat(5_000_000)] }, NEVER),
      InvalidRequestError,
      '"input[0]" is too large: it has more than',
    );
    assertEquals((await backend.embed({ input: ["cat"] }, NEVER)).vectors.length, 1);
  });

  await t.step("text is encoded when it is just as long as it may be", async () => {
    const words = (count: number): string => new Array(count).fill("word").join(" ");
    assertEquals((await backend.embed({ input: [words(508)] }, NEVER)).inputTokens, 512);
    await assertRejects(() => backend.embed({ input: [words(509)] }, NEVER), InvalidRequestError, "has 513 tokens");
  });

  await t.step("task changes nothing when the model's family is not known", async () => {
    const plain = await backend.embed({ input: ["cat"] }, NEVER);
    const query = await backend.embed({ input: ["cat"], task: "retrieval_query" }, NEVER);
    assertEquals(query.inputTokens, plain.inputTokens);
  });

  await t.step("short request is answered before a long one that came first", async () => {
    const order: string[] = [];
    const long = backend.embed({ input: new Array(2048).fill("the light in the kitchen is on") }, NEVER);
    const short = backend.embed({ input: ["cat"] }, NEVER);
    await Promise.all([long.then(() => order.push("long")), short.then(() => order.push("short"))]);
    assertEquals(order, ["short", "long"]);
    assertEquals((await long).vectors.length, 2048);
  });

  await t.step("request ends with the signal's reason when it is cancelled, and others go on", async () => {
    const controller = new AbortController();
    const cancelled = backend.embed({ input: new Array(2048).fill("the light is on") }, controller.signal);
    const other = backend.embed({ input: ["cat"] }, NEVER);
    controller.abort(new Error("gone"));
    await assertRejects(() => cancelled, Error, "gone");
    assertEquals((await other).vectors.length, 1);
    await assertRejects(() => backend.embed({ input: ["cat"] }, controller.signal), Error, "gone");
  });

  await t.step("other requests are refused when it only embeds", async () => {
    await assertRejects(() => backend.rerank({ query: "a", documents: ["b"] }, NEVER), RerankUnsupportedError);
    const request = {
      ...PLAIN,
      messages: [{ role: "user", content: "Hello." }],
      sampling: { temperature: 0, topP: 1, topK: 0 },
      maxTokens: 5,
      stop: [],
    } as const;
    await assertRejects(
      () => Array.fromAsync(backend.generate(request, NEVER)),
      InvalidRequestError,
      "A model loaded to embed does not write",
    );
    assertEquals((await backend.embed({ input: ["cat"] }, NEVER)).vectors.length, 1);
  });
});

Deno.test("embedding backend makes vectors of a model that generates when it is configured to", async () => {
  await using backend = await start({ modelPath: MODEL_PATH, embed: true });
  assertEquals([backend.capabilities?.embed, backend.capabilities?.v1], [true, false]);
  // Longer than one portion, which only its last token tells.
  const input = ["The capital of Japan is Tokyo.", "word ".repeat(700), "cat"];
  const together = await backend.embed({ input }, NEVER);
  for (const [index, text] of input.entries()) {
    const [alone] = (await backend.embed({ input: [text] }, NEVER)).vectors;
    assert(cosine(alone ?? [], together.vectors[index] ?? []) > 0.9999);
  }
  assertEquals(together.dimensions, 192);
});

Deno.test("embedding backend pools as configured when that is not the model's own way", async () => {
  await using cls = await start({ pooling: "cls" });
  await using mean = await start();
  const [[a = []], [b = []]] = [
    (await cls.embed({ input: ["cat"] }, NEVER)).vectors,
    (await mean.embed({ input: ["cat"] }, NEVER)).vectors,
  ];
  assert(cosine(a, b) < 0.999);
});

Deno.test("embedding backend takes shorter texts when a context is configured", async () => {
  await using backend = await start({ contextTokens: 64 });
  assertEquals(backend.capabilities?.contextTokens, 64);
  await assertRejects(
    () => backend.embed({ input: ["word ".repeat(100)] }, NEVER),
    InvalidRequestError,
    '"input[0]" is too large: it has 105 tokens, the maximum is 64',
  );
});

Deno.test("embedding backend takes no longer texts than the model knows when a larger context is configured", async () => {
  await using backend = await start({ contextTokens: 100_000 });
  assertEquals(backend.capabilities?.contextTokens, 512);
});

Deno.test("engine says why when a model is to rank and cannot", async () => {
  await using engine = EngineChild.spawn();
  await engine.load({ modelPath: EMBED_PATH, pooling: "rank" });
  assertEquals((await engine.exit()).code, 1);
  const [fatal] = engine.messages.filter((message) => message.type === "fatal");
  assertStringIncludes(fatal?.message ?? "", "it has no ranking head, so it cannot rerank");
});

Deno.test("embedding request fails and the next is served when the engine is killed", async () => {
  const restarted = Promise.withResolvers<void>();
  let readies = 0;
  await using backend = await start({}, {
    backoffMs: { first: 1, most: 1 },
    notify: (notice) => {
      if (notice.type === "ready" && ++readies === 2) restarted.resolve();
    },
  });
  const lost = backend.embed({ input: new Array(2048).fill("the light in the kitchen is on") }, NEVER);
  Deno.kill(backend.enginePid ?? 0, "SIGKILL");
  await assertRejects(() => lost, BackendUnavailableError, "died and is being restarted");
  await assertRejects(() => backend.embed({ input: ["cat"] }, NEVER), BackendUnavailableError, "is restarting");
  await restarted.promise;
  assertEquals((await backend.embed({ input: ["cat"] }, NEVER)).vectors.length, 1);
});

Deno.test("embedding backend maps what its engine says when it fails", async (t) => {
  const options = { command: fakeEngineCommand({ purpose: "embed" }), backoffMs: { first: 1, most: 1 } };
  await using backend = await start({}, { ...options, hangTimeoutMs: 200 });

  await t.step("vectors are split when they come", async () => {
    const { vectors, inputTokens } = await backend.embed({ input: ["a", "b"] }, NEVER);
    assertEquals([vectors.map((vector) => [...vector]), inputTokens], [[[1, 1], [1, 1]], 2]);
  });

  await t.step("caller is told when it is the caller's fault", async () => {
    await assertRejects(() => backend.embed({ input: ["invalid"] }, NEVER), InvalidRequestError, "No such text");
  });

  await t.step("failure is internal when it is the engine's", async () => {
    await assertRejects(() => backend.embed({ input: ["internal"] }, NEVER), Error, "Engine failed: No such text");
  });

  await t.step("engine is killed when it says nothing", async () => {
    await assertRejects(() => backend.embed({ input: ["hang"] }, NEVER), BackendUnavailableError, "died");
  });
});

Deno.test("embedding answer arrives when it is as large as one can be", async () => {
  await using backend = await start({}, { command: fakeEngineCommand({ purpose: "embed" }) });
  const { vectors, dimensions } = await backend.embed({ input: new Array(2048).fill("wide") }, NEVER);
  assertEquals([vectors.length, dimensions], [2048, 4096]);
  for (const vector of vectors) assertEquals([vector.length, vector[4095]], [4096, 1]);
});

Deno.test("engine exits with 0 when stdin ends while its lanes compute", async () => {
  await using engine = EngineChild.spawn();
  await engine.load({ modelPath: EMBED_PATH, threads: 2 });
  await engine.until((message) => message.type === "ready");
  await engine.send({ op: "embed", id: 1, request: { input: new Array(500).fill("It is not answered any more.") } });
  await engine.closeInput();
  assertEquals(await engine.exit(), { success: true, code: 0, signal: null });
});
