/** LangChain.js' `ChatOpenAI`, as a new user has it. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { HumanMessage, ToolMessage } from "npm:@langchain/core@1.4.0/messages";
import { tool } from "npm:@langchain/core@1.4.0/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "npm:@langchain/openai@1.6.0";
import { z } from "zod";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";

function chat(bridge: BridgeUnderTest, model: string): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey: "none",
    maxRetries: 0,
    temperature: 0,
    configuration: { baseURL: `${bridge.url}/v1` },
  });
}

Deno.test("langchain: ChatOpenAI answers at once and as a stream", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["Hello", " there"] } });
  const model = chat(bridge, "mock");
  const answer = await model.invoke("Hi");
  // Typed as never by the package itself.
  const usage = answer.usage_metadata as { readonly output_tokens: number } | undefined;
  assertEquals([answer.content, usage?.output_tokens], ["Hello there", 2]);
  let text = "";
  for await (const chunk of await model.stream("Hi")) text += chunk.text;
  assertEquals(text, "Hello there");
});

Deno.test("langchain: bound tools are called and their results handed back", async () => {
  const calls = [{ name: "get_weather", input: { city: "Oslo" } }];
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["It is sunny."], calls } });
  const weather = tool(({ city }: { city: string }) => `${city}: 7 degrees`, {
    name: "get_weather",
    description: "The weather in a city",
    schema: z.object({ city: z.string() }),
  });
  const model = chat(bridge, "mock").bindTools([weather]);
  const question = new HumanMessage("What is the weather in Oslo?");
  const first = await model.invoke([question]);
  const [call] = first.tool_calls ?? [];
  assertEquals([call?.name, call?.args], ["get_weather", { city: "Oslo" }]);
  const result = new ToolMessage({ content: "Oslo: 7 degrees", tool_call_id: call?.id ?? "" });
  assertEquals((await model.invoke([question, first, result])).content, "It is sunny.");
});

Deno.test("langchain: OpenAIEmbeddings makes vectors", async () => {
  await using bridge = await BridgeUnderTest.start();
  const model = new OpenAIEmbeddings({
    model: "mock",
    apiKey: "none",
    maxRetries: 0,
    configuration: { baseURL: `${bridge.url}/v1` },
  });
  assertEquals((await model.embedDocuments(["a text", "another"])).map(({ length }) => length), [8, 8]);
});

Deno.test("langchain: real inference answers, and withStructuredOutput follows its schema", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const model = chat(bridge, "inferd-tiny");
  assertStringIncludes((await model.invoke("What is the capital of France?")).text, "Paris");
  const Person = z.object({ name: z.string().max(20), age: z.int().min(0).max(150) });
  const person = await model.withStructuredOutput(Person, { method: "jsonSchema" }).invoke(
    "Who is it? Anna is 30 years old.",
  );
  assertEquals(Person.safeParse(person).success, true);
});
