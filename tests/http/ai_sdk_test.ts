/** Vercel's `ai` package through `@ai-sdk/openai-compatible`, as a new user has them. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { createOpenAICompatible } from "npm:@ai-sdk/openai-compatible@3.0.92";
import { embedMany, generateText, isStepCount, Output, streamText, tool } from "npm:ai@7.0.173";
import { z } from "zod";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

const CALLING = { tokens: ["It is sunny."], calls: [{ name: "get_weather", input: { city: "Oslo" } }] };

function provider(bridge: BridgeUnderTest): ReturnType<typeof createOpenAICompatible> {
  return createOpenAICompatible({
    name: "inferd",
    baseURL: `${bridge.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
}

Deno.test("ai sdk: text comes at once and as a stream, with usage", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const model = provider(bridge)("mock");
  const { text, usage, finishReason } = await generateText({ model, prompt: "Hi", maxRetries: 0 });
  assertEquals([text, usage.outputTokens, finishReason], ["Hello there", 2, "stop"]);
  const stream = streamText({ model, prompt: "Hi", maxRetries: 0 });
  assertEquals(await Array.fromAsync(stream.textStream), ["Hello", " there"]);
  assertEquals((await stream.usage).outputTokens, 2);
});

Deno.test("ai sdk: tools are run and their results handed back", async () => {
  await using bridge = await BridgeUnderTest.start({ script: CALLING });
  const asked: string[] = [];
  const { text, steps } = await generateText({
    model: provider(bridge)("mock"),
    prompt: "What is the weather in Oslo?",
    maxRetries: 0,
    stopWhen: isStepCount(3),
    tools: {
      get_weather: tool({
        description: "The weather in a city",
        inputSchema: z.object({ city: z.string() }),
        execute: ({ city }) => {
          asked.push(city);
          return "7 degrees";
        },
      }),
    },
  });
  assertEquals([text, asked, steps.length], ["It is sunny.", ["Oslo"], 2]);
});

Deno.test("ai sdk: embeddings come in the order of the texts", async () => {
  await using bridge = await BridgeUnderTest.start();
  const { embeddings } = await embedMany({
    model: provider(bridge).embeddingModel("mock"),
    values: ["a text", "another"],
    maxRetries: 0,
  });
  assertEquals(embeddings.map(({ length }) => length), [8, 8]);
});

Deno.test("ai sdk: real inference fills in a schema", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const model = provider(bridge)("inferd-tiny");
  const { text } = await generateText({
    model,
    prompt: "What is the capital of France?",
    temperature: 0,
    maxRetries: 0,
  });
  assertStringIncludes(text, "Paris");
  const { output } = await generateText({
    model,
    prompt: "Who is it? Anna is 30 years old.",
    temperature: 0,
    maxRetries: 0,
    output: Output.object({ schema: z.object({ name: z.string().max(20), age: z.int().min(0).max(150) }) }),
  });
  assertEquals([typeof output.name, typeof output.age], ["string", "number"]);
});
