/** The adapter under the real LangChain.js, against a scripted daemon. */
import { assertEquals, assertRejects } from "@std/assert";
import { Document } from "npm:@langchain/core@1.4.0/documents";
import { HumanMessage, SystemMessage, ToolMessage } from "npm:@langchain/core@1.4.0/messages";
import { tool } from "npm:@langchain/core@1.4.0/tools";
import { z } from "zod";
import type { Client } from "@inferd/client";
import { ChatInferd, InferdEmbeddings, InferdReranker } from "../../packages/langchain/mod.ts";
import { callPart, doneV2, textPart } from "../client/support.ts";
import { type Answer, type Asked, withScriptedDaemon } from "./scripted_daemon.ts";

const answer: Answer = async (peer, { id, messages, tools, thinking }) => {
  const last = messages.at(-1).content.at(-1);
  const calls = (name: string, input: object): Promise<unknown> =>
    peer.send(callPart(id, ["1", name, input]), doneV2(id, { stop_reason: "tool_use" }));
  if (last.type === "tool_result") await peer.send(textPart(id, last.content[0].text), doneV2(id));
  else if (tools?.[0].name === "add") await calls("add", { a: 1, b: 2 });
  else if (tools?.[0].name === "extract") await calls("extract", { name: "Ada", age: 36 });
  else {
    const thought = { id, type: "frame", block: { type: "thinking", delta: "Hm." } };
    await peer.send(...(thinking ? [thought] : []), textPart(id, "Hel"), textPart(id, "lo"), doneV2(id));
  }
};

function withClient(test: (client: Client, asked: Asked) => Promise<void>): Promise<void> {
  return withScriptedDaemon(answer, test);
}

const add = tool(({ a, b }) => String(a + b), {
  name: "add",
  description: "Adds",
  schema: z.object({ a: z.number(), b: z.number() }),
});

Deno.test("langchain: a chat model answers at once and as a stream, with usage", () =>
  withClient(async (client, asked) => {
    const model = new ChatInferd({ client, model: "tiny", temperature: 0, maxTokens: 9 });
    const answer = await model.invoke([new SystemMessage("Be brief."), new HumanMessage("hi")], { stop: ["."] });
    assertEquals(answer.text, "Hello");
    const usage: unknown = answer.usage_metadata; // Their types lose it under exactOptionalPropertyTypes.
    assertEquals(usage, {
      input_tokens: 3,
      output_tokens: 2,
      total_tokens: 5,
      input_token_details: { cache_read: 1 },
      output_token_details: {},
    });
    assertEquals(answer.response_metadata, { finish_reason: "end_turn", backend: "scripted" });
    const pieces: string[] = [];
    for await (const chunk of await model.stream("hi")) pieces.push(chunk.text);
    assertEquals(pieces, ["Hel", "lo", ""]);
    const [{ id: _, ...request } = {}] = asked;
    assertEquals(request, {
      model: "tiny",
      messages: [
        { role: "system", content: [{ type: "text", text: "Be brief." }] },
        { role: "user", content: [{ type: "text", text: "hi" }] },
      ],
      temperature: 0,
      max_tokens: 9,
      stop: ["."],
      thinking: false,
    });
  }));

Deno.test("langchain: what a chat model thinks comes apart, and goes back to it", () =>
  withClient(async (client, asked) => {
    const model = new ChatInferd({ client, thinking: true });
    const answer = await model.invoke("hi");
    assertEquals([answer.text, answer.additional_kwargs.reasoning_content], ["Hello", "Hm."]);
    await model.invoke([new HumanMessage("hi"), answer, new HumanMessage("and?")]);
    const [, turn] = asked[1]?.messages as { readonly content: unknown }[];
    assertEquals(turn?.content, [{ type: "thinking", text: "Hm." }, { type: "text", text: "Hello" }]);
  }));

Deno.test("langchain: a tool is called, and its result goes back", () =>
  withClient(async (client, asked) => {
    const model = new ChatInferd({ client }).bindTools([add], { tool_choice: "add" });
    const question = new HumanMessage("1 + 2?");
    const call = await model.invoke([question]);
    assertEquals(call.tool_calls, [{ id: "1", name: "add", args: { a: 1, b: 2 }, type: "tool_call" }]);
    assertEquals(asked[0]?.tool_choice, { name: "add" });
    const [made] = call.tool_calls ?? [];
    const result = new ToolMessage({ tool_call_id: made?.id ?? "", content: await add.invoke({ a: 1, b: 2 }) });
    assertEquals((await new ChatInferd({ client }).invoke([question, call, result])).text, "3");
    const [, turn, results] = asked[1]?.messages as { readonly content: unknown }[];
    assertEquals(turn?.content, [{ type: "tool_use", tool_call_id: "1", name: "add", input: { a: 1, b: 2 } }]);
    assertEquals(results?.content, [
      { type: "tool_result", tool_call_id: "1", content: [{ type: "text", text: "3" }] },
    ]);
  }));

Deno.test("langchain: structured output is required of the model, from zod and from JSON Schema", () =>
  withClient(async (client, asked) => {
    const model = new ChatInferd({ client });
    const schema = z.object({ name: z.string(), age: z.number() });
    assertEquals(await model.withStructuredOutput(schema).invoke("Who?"), { name: "Ada", age: 36 });
    const json = { type: "object", properties: { name: { type: "string" } } };
    const raw = await model.withStructuredOutput(json, { includeRaw: true }).invoke("Who?");
    assertEquals(raw.parsed, { name: "Ada", age: 36 });
    assertEquals(asked.map(({ tool_choice: choice }) => choice), ["required", "required"]);
  }));

Deno.test("langchain: images go along as data, and are refused by address", () =>
  withClient(async (client, asked) => {
    const model = new ChatInferd({ client });
    const image = { type: "image" as const, mimeType: "image/png", data: "iVBORw0KGgo=" };
    await model.invoke([new HumanMessage({ contentBlocks: [{ type: "text", text: "What is it?" }, image] })]);
    assertEquals(asked[0]?.attachments, [
      { id: "file-1", kind: "image", mime: "image/png", bytes: "iVBORw0KGgo=" },
    ]);
    const address = { type: "image" as const, url: "https://example.org/a.png" };
    await assertRejects(
      () => model.invoke([new HumanMessage({ contentBlocks: [address] })]),
      TypeError,
      "as data",
    );
  }));

Deno.test("langchain: embeddings and reranking", () =>
  withClient(async (client, asked) => {
    const embeddings = new InferdEmbeddings({ client, model: "vectors" });
    assertEquals(await embeddings.embedDocuments(["a", "bbb"]), [[1, 0], [3, 0]]);
    assertEquals(await embeddings.embedQuery("cc"), [2, 0]);
    assertEquals(asked.map(({ task, model }) => [task, model]), [
      ["retrieval_document", "vectors"],
      ["retrieval_query", "vectors"],
    ]);
    const documents = ["one", "two"].map((pageContent) => new Document({ pageContent, metadata: { from: "here" } }));
    const ranked = await new InferdReranker({ client }).compressDocuments(documents, "q");
    assertEquals(ranked.map(({ pageContent, metadata }) => [pageContent, metadata.relevanceScore, metadata.from]), [
      ["two", 2, "here"],
      ["one", -1, "here"],
    ]);
    assertEquals(
      [await embeddings.embedDocuments([]), await new InferdReranker({ client }).compressDocuments([], "q")],
      [
        [],
        [],
      ],
    );
  }));
