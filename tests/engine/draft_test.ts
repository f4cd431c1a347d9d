/** Answers are the same with a draft model, whatever it guesses. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readMetadata } from "../../bench/gguf.ts";
import { wordsOf, writeRandomModel } from "../../bench/random_gguf.ts";
import type { EngineConfig } from "../../src/engine/ipc/messages.ts";
import { type Answer, type Ask, EngineChild, MODEL_PATH } from "./engine_child.ts";
import { inFolder } from "../support/folders.ts";

const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" }, city: { type: "string" } },
  required: ["name", "age", "city"],
  additionalProperties: false,
};
const QUESTIONS: readonly (readonly [question: string, ask: Ask])[] = [
  ["Tell me about the sea.", {}],
  ["Write a poem about a lamp.", {}],
  ["Write JSON for Ana, age 31, from Oslo.", { responseSchema: PERSON }],
  ["What is the weather in Oslo?", { thinking: true }],
  ["Count from 1 to 10.", {}],
  ["Tell me about the moon.", { sampling: { temperature: 0.8, topP: 0.9, topK: 40, seed: 11 } }],
  ["Write a poem about a river.", { sampling: { temperature: 1.2, topP: 1, topK: 0, seed: 7 } }],
];

const POEMS = QUESTIONS.slice(0, 2);

function saidOf({ text, thinking, calls, done, error }: Answer): unknown {
  return { text, thinking, calls, error, done: done?.done, tokens: done?.completion };
}

interface Counts {
  readonly drafted: number;
  readonly accepted: number;
}

/** Ask with and without the draft; where there is no draft, nothing is guessed of what came before either. */
async function compare(draft: NonNullable<EngineConfig["draft"]>, questions = QUESTIONS): Promise<Counts> {
  await using plain = await EngineChild.start({ speculation: false, nextTurn: false });
  await using drafting = await EngineChild.start({ draft, nextTurn: false });
  const counts = { drafted: 0, accepted: 0 };
  const count = ({ done }: Answer): void => {
    counts.drafted += done?.drafted ?? 0;
    counts.accepted += done?.accepted ?? 0;
  };
  for (const [question, ask] of questions) {
    const expected = saidOf(await plain.answer(question, ask));
    const answer = await drafting.answer(question, ask);
    assertEquals(saidOf(answer), expected, question);
    count(answer);
    // Two at a time share the batches of the draft.
    const [other = ""] = questions[0] ?? [];
    const ids = [await drafting.ask(question, ask), await drafting.ask(other)];
    const [first, second] = [await drafting.answerTo(ids[0] as number), await drafting.answerTo(ids[1] as number)];
    assertEquals(saidOf(first), expected, question);
    assertEquals(saidOf(second), saidOf(await plain.answer(other)));
    count(first);
    count(second);
  }
  return counts;
}

async function randomModel(folder: string, vocabulary?: number): Promise<string> {
  const path = `${folder}/random.gguf`;
  const shape = { width: 64, layers: 1, feedForward: 96, heads: 4, kvHeads: 2 };
  const filled = vocabulary === undefined ? {} : { vocabulary };
  await writeRandomModel(path, { tokenizerFrom: MODEL_PATH, shape, seed: 3, ...filled });
  return path;
}

Deno.test("engine says the same and most guesses come true when the model is its own draft", async () => {
  await compare({ modelPath: MODEL_PATH });
  // Answers in which nothing comes twice, so that only the draft guesses.
  const { drafted, accepted } = await compare({ modelPath: MODEL_PATH }, POEMS);
  // How much is guessed depends on how fast this machine is at the moment; guesses behind an answer's end are rejected.
  assert(drafted > 0 && accepted >= drafted * 0.6, `${accepted} of ${drafted}`);
});

Deno.test("engine says the same and next to no guess comes true when the draft talks nonsense", () =>
  inFolder(async (folder) => {
    const { drafted, accepted } = await compare({ modelPath: await randomModel(folder) });
    assert(drafted > 10 && accepted < drafted * 0.3, `${accepted} of ${drafted}`);
  }));

Deno.test("engine says the same and all guesses come true when a small draft says what the model says", () =>
  inFolder(async (folder) => {
    const words = wordsOf(readMetadata(await Deno.readFile(MODEL_PATH)));
    const shape = { width: 256, layers: 16, feedForward: 512, heads: 4, kvHeads: 2 };
    const common = { tokenizerFrom: MODEL_PATH, seed: 3, recites: [["Ċ", ...words]] };
    const [modelPath, draftPath] = [`${folder}/model.gguf`, `${folder}/draft.gguf`] as const;
    await writeRandomModel(modelPath, { ...common, shape });
    await writeRandomModel(draftPath, { ...common, shape: { ...shape, layers: 1 } });
    await using plain = await EngineChild.start({ modelPath, speculation: false, nextTurn: false });
    await using drafting = await EngineChild.start({ modelPath, draft: { modelPath: draftPath }, nextTurn: false });
    for (const maxTokens of [7, 200, 201]) {
      const expected = await plain.answer("Which words are there?", { maxTokens });
      const answer = await drafting.answer("Which words are there?", { maxTokens });
      assertEquals(saidOf(answer), saidOf(expected));
      const { drafted = 0, accepted } = answer.done ?? {};
      assert(drafted > 0 && accepted === drafted, JSON.stringify(answer.done));
    }
  }));

/** Why an engine does not load. */
async function refusal(config: Partial<EngineConfig>): Promise<string> {
  await using engine = EngineChild.spawn();
  await engine.load(config);
  const message = await engine.until(({ type }) => type === "fatal" || type === "ready");
  assert(message.type === "fatal", "it has loaded");
  return message.message;
}

Deno.test("engine refuses a draft model with another vocabulary, and one that is not there", () =>
  inFolder(async (folder) => {
    const modelPath = await randomModel(folder, 4096);
    assertEquals(
      await refusal({ draft: { modelPath } }),
      `Cannot use "${modelPath}" as the draft model of "${MODEL_PATH}": its vocabulary has 4096 tokens, the model's ` +
        "2048. Use a smaller model of the same family",
    );
    assertEquals(
      await refusal({ draft: { modelPath: `${folder}/none.gguf` } }),
      `Cannot load "${folder}/none.gguf": there is no such file`,
    );
    assertMatch(await refusal({ draft: { modelPath: MODEL_PATH }, embed: true }), /^A draft model guesses for a model/);
  }));

Deno.test("engine refuses a draft model that has another text for a token", () =>
  inFolder(async (folder) => {
    // As many tokens, and a word of the vocabulary is spelled otherwise.
    const bytes = await Deno.readFile(MODEL_PATH);
    const text = new TextDecoder("latin1").decode(bytes);
    const at = text.indexOf("quiet", text.indexOf("tokenizer.ggml.tokens"));
    assert(at > 0);
    bytes[at] = "Q".charCodeAt(0);
    const modelPath = `${folder}/other.gguf`;
    await Deno.writeFile(modelPath, bytes);
    assertMatch(await refusal({ draft: { modelPath } }), /its token \d+ is ".*Quiet.*", the model's is ".*quiet.*"\./);
  }));

Deno.test("engine counts the memory of a draft model", async () => {
  const contextOf = async (config: Partial<EngineConfig>): Promise<number> => {
    await using engine = await EngineChild.start({ memoryBytes: 18 * 1024 * 1024, ...config });
    const ready = engine.messages.find(({ type }) => type === "ready");
    assert(ready?.type === "ready");
    return ready.contextTokens;
  };
  assertEquals([await contextOf({}), await contextOf({ draft: { modelPath: MODEL_PATH } })], [1024, 768]);
});
