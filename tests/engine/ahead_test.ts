/** Answers are the same, whatever is done ahead of them. */
import { assert, assertEquals } from "@std/assert";
import type { ChatMessage, JsonObject, Tool } from "../../src/inference/request.ts";
import { type Answer, type Ask, EngineChild } from "./engine_child.ts";

const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" }, city: { type: "string" } },
  required: ["name", "age", "city"],
  additionalProperties: false,
};
const LONG_KEYS: JsonObject = {
  type: "object",
  properties: {
    name_of_the_person: { type: "string", maxLength: 12 },
    year_of_the_first_visit: { type: "integer", minimum: 1900, maximum: 2100 },
    was_here_before: { type: "boolean" },
  },
  required: ["name_of_the_person", "year_of_the_first_visit", "was_here_before"],
  additionalProperties: false,
};
const TOOLS: readonly Tool[] = [
  {
    name: "get_weather",
    description: "Get the weather in a city",
    inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

const ASKED: readonly (readonly [question: string, ask: Ask])[] = [
  ["Write JSON for Ana, age 31, from Oslo.", { responseSchema: PERSON }],
  ["Write JSON for Ben, age 7, from Lima.", { responseSchema: PERSON }],
  ["Write JSON for Ana, age 31, from Oslo.", { responseSchema: PERSON, thinking: true }],
  ["Write JSON for a visitor.", { responseSchema: LONG_KEYS }],
  ["What is the weather in Oslo?", { tools: TOOLS, toolChoice: "required" }],
  ["What is the weather in Oslo?", { tools: TOOLS, toolChoice: "required", thinking: true }],
  ["What is the weather in Lima?", { tools: TOOLS }],
  ["Which color?", { responseSchema: { enum: ["red", "green"] } }],
  ["Hello.", { grammar: 'root ::= "The answer is " [0-9]+ "."' }],
  ["Hello.", { responseSchema: PERSON, maxTokens: 7 }],
  ["What is 12 plus 7?", {}],
];

async function answers(engine: EngineChild): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const [question, ask] of ASKED) answers.push(await engine.answer(question, ask));
  return answers;
}

function saidOf({ text, thinking, calls, done, error }: Answer): unknown {
  return { text, thinking, calls, error, done: done?.done };
}

Deno.test("engine says the same when it does not ask the model for what is forced", async () => {
  await using asking = await EngineChild.start({ fastForward: false });
  await using forwarding = await EngineChild.start();
  const asked = await answers(asking);
  const forwarded = await answers(forwarding);
  for (const [i, answer] of forwarded.entries()) {
    assertEquals(saidOf(answer), saidOf(asked[i] as Answer), ASKED[i]?.[0]);
  }
  assert(asked.every(({ done }) => done?.forced === undefined));
  const forced = forwarded.map(({ done }) => done?.forced ?? 0);
  assert(forced.slice(0, -1).every((tokens) => tokens > 0), `${forced}`);
  assertEquals(forced.at(-1), 0);
});

Deno.test("engine asks the model for every token when it is to tell how likely they were", async () => {
  await using engine = await EngineChild.start();
  const { done } = await engine.answer("Write JSON for Ana, age 31, from Oslo.", {
    responseSchema: PERSON,
    logprobs: 0,
  });
  assertEquals(done?.forced, undefined);
});

/** A conversation of some turns, and how much of each prompt was cached. */
async function chat(
  engine: EngineChild,
  ask: Ask,
  settle: () => Promise<void>,
): Promise<{ said: unknown[]; last: Answer }> {
  const messages: ChatMessage[] = [];
  const said: unknown[] = [];
  let last: Answer | undefined;
  for (const question of ["What is the weather in Oslo?", "What is 12 plus 7?", "What is the capital of Japan?"]) {
    messages.push({ role: "user", content: question });
    last = await engine.answer(messages, ask);
    said.push(saidOf(last));
    messages.push({ role: "assistant", content: last.text });
    await settle();
  }
  return { said, last: last as Answer };
}

Deno.test("engine computes nothing but the new message of a next turn, and says the same", async () => {
  await using late = await EngineChild.start({ nextTurn: false });
  await using ready = await EngineChild.start({ quietMs: 0 });
  // The engine reads the next message when it has nothing better to do: by then the turn is ready.
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 200; i++) {
      await ready.tokenizer({ type: "tokenize", text: "a", addSpecial: false, parseSpecial: false });
    }
  };
  for (const ask of [{}, { thinking: true }]) {
    const without = await chat(late, ask, () => Promise.resolve());
    const { said, last } = await chat(ready, ask, settle);
    assertEquals(said, without.said);
    const { cached = 0, prompt = 0, prepared = 0 } = last.done ?? {};
    const computed = prompt - cached;
    assert(prepared > 0 && computed <= 20, `${cached} of ${prompt}, ${prepared} prepared`);
    assert(cached > (without.last.done?.cached ?? 0));
  }
});

const STORY =
  "The owl found a bell under the old bridge. The owl rang the bell. The river is quiet and the hill is high.";
const COPIED: readonly (readonly [question: string, ask: Ask])[] = [
  [`Repeat this text: ${STORY}`, {}],
  ["Count from 1 to 10.", {}],
  ["Write JSON for Ana, age 31, from Oslo.", { responseSchema: { type: "array", items: PERSON, minItems: 3 } }],
  ["Hello.", { grammar: 'root ::= ("one two three four, " | "five six seven eight, ")+', maxTokens: 90 }],
  [`Repeat this text: ${STORY}`, { grammar: `root ::= [a-zA-Z .]+`, maxTokens: 120 }],
  ["What is the weather in Oslo?", { tools: TOOLS, thinking: true }],
  ...ASKED,
];

Deno.test("engine says the same when it guesses what comes next", async () => {
  await using plain = await EngineChild.start({ speculation: false });
  await using guessing = await EngineChild.start();
  let drafted = 0;
  for (const [question, ask] of COPIED) {
    for (const sampling of [undefined, { temperature: 0.8, topP: 0.9, topK: 40, seed: 11 }]) {
      const asked = { ...ask, ...(sampling === undefined ? {} : { sampling }) };
      const expected = await plain.answer(question, asked);
      const answer = await guessing.answer(question, asked);
      assertEquals(saidOf(answer), saidOf(expected), question);
      assertEquals([expected.done?.drafted, answer.done?.completion], [undefined, expected.done?.completion]);
      drafted += answer.done?.drafted ?? 0;
    }
  }
  // How much is guessed depends on how fast this machine is at the moment.
  assert(drafted > 0);
});

Deno.test("engine says the same to two at once when it guesses what comes next for both", async () => {
  await using plain = await EngineChild.start({ speculation: false });
  await using guessing = await EngineChild.start();
  const ask = { grammar: 'root ::= ("one two three four, " | "five six seven eight, ")+', maxTokens: 90 };
  const expected = await plain.answer("Hello.", ask);
  const ids = [await guessing.ask("Hello.", ask), await guessing.ask("Hello.", ask)];
  for (const id of ids) assertEquals(saidOf(await guessing.answerTo(id)), saidOf(expected));
});

Deno.test("engine has a row of logits for each request when it decodes more of them than a context has tokens", async () => {
  await using engine = await EngineChild.start({ contextTokens: 64, parallel: 80 });
  const ids: number[] = [];
  for (let i = 0; i < 80; i++) ids.push(await engine.ask("What is 12 plus 7?", { maxTokens: 12 }));
  for (const id of ids) assertEquals((await engine.answerTo(id)).text, "12 + 7 = 19.");
});
