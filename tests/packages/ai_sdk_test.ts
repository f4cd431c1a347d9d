/** The provider under the real `ai` package, against a scripted daemon. */
import { assertEquals, assertRejects } from "@std/assert";
import { embedMany, generateText, isStepCount, Output, rerank, streamText, tool } from "ai";
import { z } from "zod";
import { createInferd, type InferdProvider } from "../../packages/ai-sdk/mod.ts";
import { callPart, doneV2, textPart } from "../client/support.ts";
import { type Answer, type Asked, withScriptedDaemon } from "./scripted_daemon.ts";

const answer: Answer = async (peer, { id, messages, tools, response_format: format, thinking }) => {
  const last = messages.at(-1).content[0];
  if (format !== undefined) await peer.send(textPart(id, '{"name":"Ada","age":36}'), doneV2(id));
  else if (last.type === "tool_result") await peer.send(textPart(id, last.content[0].text), doneV2(id));
  else if (tools !== undefined) {
    await peer.send(callPart(id, ["1", "add", { a: 1, b: 2 }]), doneV2(id, { stop_reason: "tool_use" }));
  } else {
    const thought = { id, type: "frame", block: { type: "thinking", delta: "Hm." } };
    await peer.send(...(thinking ? [thought] : []), textPart(id, "Hel"), textPart(id, "lo"), doneV2(id));
  }
};

function withProvider(test: (provider: InferdProvider, asked: Asked) => Promise<void>): Promise<void> {
  return withScriptedDaemon(answer, (client, asked) => test(createInferd(client), asked));
}

Deno.test("ai: generateText gets text, reasoning, finish reason and usage", async () => {
  await withProvider(async (provider, asked) => {
    const { text, reasoningText, finishReason, usage } = await generateText({
      model: provider.languageModel("big"),
      prompt: "hi",
      reasoning: "low",
      maxOutputTokens: 7,
    });
    assertEquals([text, reasoningText, finishReason], ["Hello", "Hm.", "stop"]);
    assertEquals([usage.inputTokens, usage.outputTokens], [3, 2]);
    assertEquals([asked[0]?.model, asked[0]?.thinking, asked[0]?.max_tokens], ["big", true, 7]);
  });
});

Deno.test("ai: streamText gives the pieces as they come", async () => {
  await withProvider(async (provider) => {
    const pieces: string[] = [];
    const { textStream } = streamText({ model: provider.languageModel("default"), prompt: "hi" });
    for await (const piece of textStream) pieces.push(piece);
    assertEquals(pieces, ["Hel", "lo"]);
  });
});

Deno.test("ai: tools run and their results go back to the model", async () => {
  await withProvider(async (provider, asked) => {
    const { text, steps } = await generateText({
      model: provider.languageModel("default"),
      prompt: "1 + 2?",
      tools: {
        add: tool({
          description: "Adds",
          inputSchema: z.object({ a: z.number(), b: z.number() }),
          execute: ({ a, b }) => `${a + b}`,
        }),
      },
      stopWhen: isStepCount(3),
    });
    assertEquals([text, steps.length], ["3", 2]);
    assertEquals((asked[0]?.tools as { name: string }[])[0]?.name, "add");
  });
});

Deno.test("ai: a zod schema reaches the daemon and types the output", async () => {
  await withProvider(async (provider, asked) => {
    const { output } = await generateText({
      model: provider.languageModel("default"),
      prompt: "Who?",
      output: Output.object({ schema: z.object({ name: z.string(), age: z.number() }) }),
    });
    assertEquals(output, { name: "Ada", age: 36 });
    assertEquals((asked[0]?.response_format as { type: string }).type, "json_schema");
  });
});

Deno.test("ai: an image becomes an attachment, another file is refused", async () => {
  await withProvider(async (provider, asked) => {
    const model = provider.languageModel("default");
    const file = (mediaType: string) => ({ type: "file" as const, mediaType, data: new Uint8Array([1, 2, 3]) });
    const ask = (mediaType: string) =>
      generateText({
        model,
        maxRetries: 0,
        messages: [{ role: "user", content: [file(mediaType), { type: "text", text: "?" }] }],
      });
    await ask("image/png");
    assertEquals(asked[0]?.attachments, [{ id: "file-1", kind: "image", mime: "image/png", bytes: "AQID" }]);
    await assertRejects(() => ask("application/pdf"), TypeError, "application/pdf");
  });
});

Deno.test("ai: embedMany and rerank", async () => {
  await withProvider(async (provider, asked) => {
    const { embeddings, usage } = await embedMany({
      model: provider.embeddingModel("default"),
      values: ["a", "bb"],
      providerOptions: { inferd: { task: "retrieval_query" } },
    });
    assertEquals([embeddings, usage.tokens], [[[1, 0], [2, 0]], 2]);
    assertEquals(asked[0]?.task, "retrieval_query");
    const { ranking } = await rerank({
      model: provider.rerankingModel("default"),
      query: "q",
      documents: ["x", "y"],
    });
    assertEquals(ranking.map(({ originalIndex, document }) => [originalIndex, document]), [[1, "y"], [0, "x"]]);
  });
});
