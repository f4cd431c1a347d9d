/** Settings of a backend as the engine follows them, with the built-in model: same answers where they must be, others where not. */
import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { fileHead, type GgufMetadata, readMetadata, tensorBytes, type TensorHead } from "../../bench/gguf.ts";
import type { EngineConfig } from "../../src/engine/ipc/messages.ts";
import { EngineChild, MODEL_PATH } from "./engine_child.ts";

const QUESTION = "What is the capital of Japan?";
const ANSWER = "The capital of Japan is Tokyo.";

async function answerWith(config: Partial<EngineConfig>): Promise<string> {
  await using engine = await EngineChild.start(config);
  return (await engine.answer(QUESTION)).text;
}

/** Why an engine does not load; undefined: it does. */
async function refusal(config: Partial<EngineConfig>): Promise<string> {
  await using engine = EngineChild.spawn();
  await engine.load(config);
  const last = await engine.until(({ type }) => type === "ready" || type === "fatal");
  return last.type === "fatal" ? last.message : "";
}

/** A LoRA adapter for the built-in model that moves what one of its layers says, in a folder of its own. */
async function withLora(work: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "inferd-lora-", suffix: ".gguf" });
  try {
    const model = readMetadata(await Deno.readFile(MODEL_PATH));
    const architecture = String(model.get("general.architecture")?.value);
    const size = (key: string): number => Number(model.get(`${architecture}.${key}`)?.value);
    const [inner, outer] = [size("feed_forward_length"), size("embedding_length")];
    const metadata: GgufMetadata = new Map([
      ["general.type", { type: "string", value: "adapter" }],
      ["general.architecture", { type: "string", value: architecture }],
      ["adapter.type", { type: "string", value: "lora" }],
      ["adapter.lora.alpha", { type: "float32", value: 1 }],
    ]);
    const tensors: TensorHead[] = [
      { name: "blk.0.ffn_down.weight.lora_a", dimensions: [inner, 1], type: "f32" },
      { name: "blk.0.ffn_down.weight.lora_b", dimensions: [1, outer], type: "f32" },
    ];
    const numbers = tensors.map((tensor) => new Float32Array(tensorBytes(tensor) / 4).map((_, at) => Math.sin(at)));
    const data = numbers.map(({ buffer }) => new Uint8Array(buffer));
    await Deno.writeFile(path, new Uint8Array(await new Blob([fileHead(metadata, tensors), ...data]).arrayBuffer()));
    await work(path);
  } finally {
    await Deno.remove(path);
  }
}

for (
  const native of [
    { mmap: false },
    { mmap: true },
    { mlock: true },
    { mmap: false, mlock: true },
    { flashAttention: "on" },
    { flashAttention: "off" },
    { cacheTypeK: "q8_0" },
    { ropeScaling: "none" },
    { tensorSplit: [1, 0] },
    { mainGpu: 0 },
  ] as const
) {
  Deno.test(`the answer is the same with ${JSON.stringify(native)}`, async () => {
    assertEquals(await answerWith({ native }), ANSWER);
  });
}

for (const native of [{ ropeFreqBase: 3 }, { ropeFreqScale: 0.01 }] as const) {
  Deno.test(`the answer is another one with ${JSON.stringify(native)}`, async () => {
    assertNotEquals(await answerWith({ native }), ANSWER);
  });
}

Deno.test("a quantised cache lets a context fit that would not", async () => {
  const metadata = readMetadata(await Deno.readFile(MODEL_PATH));
  const number = (key: string): number =>
    Number(metadata.get(`${metadata.get("general.architecture")?.value}.${key}`)?.value);
  const headSize = number("embedding_length") / number("attention.head_count");
  const f16Bytes = number("block_count") * number("attention.head_count_kv") * 2 * headSize * 2;
  const contextTokens = 16_384;
  // Between what an 8-bit and a 16-bit cache take, beside the weights.
  const memoryBytes = (Deno.statSync(MODEL_PATH).size + contextTokens * f16Bytes * 0.75) / 0.9;
  const config = { parallel: 1, contextTokens, memoryBytes };
  assertStringIncludes(await refusal(config), "not enough memory");
  assertEquals(await refusal({ ...config, native: { cacheTypeK: "q8_0", cacheTypeV: "q8_0" } }), "");
});

Deno.test("a LoRA adapter changes the answer as strongly as its scale says", async () => {
  await withLora(async (path) => {
    assertEquals(await answerWith({ native: { lora: [{ path, scale: 0 }] } }), ANSWER);
    assertNotEquals(await answerWith({ native: { lora: [{ path, scale: 10 }] } }), ANSWER);
  });
});

Deno.test("a LoRA adapter that cannot be loaded is refused by its path", async () => {
  assertStringIncludes(
    await refusal({ native: { lora: [{ path: "/nowhere/lora.gguf", scale: 1 }] } }),
    "/nowhere/lora.gguf",
  );
});

Deno.test("memory that does not suffice is told by a mark of its own", async () => {
  await using engine = EngineChild.spawn();
  await engine.load({ memoryBytes: 1000 });
  const last = await engine.until(({ type }) => type === "ready" || type === "fatal");
  assert(last.type === "fatal" && last.outOfMemory === true);
});

Deno.test("a request's own sampling overrides the backend's", async () => {
  await using engine = await EngineChild.start({ sampling: { maxTokens: 2, stop: ["Japan"] } });
  const own = { temperature: 0, topP: 1, topK: 0 };
  assertEquals((await engine.answer(QUESTION, { sampling: own, stop: ["Tokyo"] })).text, "The capital of Japan is ");
  assertEquals((await engine.answer(QUESTION, { sampling: own })).text, "The capital of ");
  const short = await engine.answer(QUESTION, { sampling: own, defaulted: ["max_tokens"] });
  assertEquals(short.done?.completion, 2);
});

Deno.test("the backend's system prompt and template are used where a conversation has no system prompt", async () => {
  const chatTemplate = "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}" +
    "{% if add_generation_prompt %}[assistant]{% endif %}";
  await using engine = await EngineChild.start({ system: "Be brief.", chatTemplate });
  const prompt = async (...roles: ("system" | "user")[]): Promise<unknown> => {
    const messages = roles.map((role) => ({ role, content: `I am ${role}` }));
    return await engine.tokenizer({
      type: "apply_template",
      conversation: { messages, tools: [], toolChoice: "auto", thinking: false },
    });
  };
  assertStringIncludes(JSON.stringify(await prompt("user")), "[system] Be brief.\\n[user] I am user\\n[assistant]");
  const own = JSON.stringify(await prompt("system", "user"));
  assertStringIncludes(own, "[system] I am system\\n[user]");
  assert(!own.includes("Be brief"));
});
