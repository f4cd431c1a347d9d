/** In every family's form of calls, an answer with forced text is the answer without. */
import { assert, assertEquals } from "@std/assert";
import { Chat } from "../../../../../src/engine/chat/chat.ts";
import type { EngineEvent } from "../../../../../src/engine/ipc/messages.ts";
import { Answers } from "../../../../../src/engine/generate/answers.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import type { GenerationRequest, Tool } from "../../../../../src/inference/request.ts";
import { CHATML, DEEPSEEK_R1, FAMILIES, type Family, familyModel, TYPED } from "../../../../support/families/mod.ts";
import type { TestModel } from "../../../../support/chat_model.ts";
import { ask } from "../../../../support/playing.ts";

const TOOL: Tool = {
  name: "get_weather",
  description: "Weather in a city",
  inputSchema: {
    type: "object",
    properties: { city: { type: "string", maxLength: 3 }, unit_of_temperature: { enum: ["celsius", "fahrenheit"] } },
    required: ["city", "unit_of_temperature"],
  },
};
const SCHEMA = {
  type: "object",
  properties: { name_of_person: { enum: ["Ana", "Ben"] }, was_here: { type: "boolean" } },
  required: ["name_of_person", "was_here"],
  additionalProperties: false,
};
/** What is said where there is a choice, the first that may come: what ends, what closes, then what is in words. */
const WISHES = Array.from('"}])<>abcftOslo ', (char) => char.charCodeAt(0));

interface Said {
  readonly events: readonly unknown[];
  readonly forced: number;
}

/** Say what is wished, with single bytes and markers, until the answer is over. */
function say({ answer }: Job, { vocabularySize: vocabulary, specialTokens }: TestModel): Said {
  const closing = specialTokens.filter(({ name }) => name.includes("/") || name.includes("end")).map(({ token }) =>
    token
  );
  const events: EngineEvent[] = [];
  let forced = 0;
  let end: unknown;
  const tell = (token: number): boolean => {
    if (answer.ends(token) || answer.accept(token, events)) end = answer.finish(false, events) ?? "failed";
    return end === undefined;
  };
  for (let steps = 0; end === undefined; steps++) {
    assert(steps < 500, "It does not come to an end");
    const ahead = answer.forced?.() ?? [];
    forced += ahead.length;
    if (!ahead.every(tell)) break;
    const allows = (token: number): boolean => answer.constraint?.allows(token) !== false;
    const others = Array.from({ length: vocabulary }, (_, token) => token);
    const wished = [...others.filter((token) => answer.ends(token)), ...closing, ...WISHES, ...others].find(allows);
    assert(wished !== undefined);
    tell(wished);
  }
  const text = events.map((event) => "t" in event ? event.t : "").join("");
  return { events: [text, ...events.filter((event) => !("t" in event)), end], forced };
}

const ASKED: readonly (readonly [what: string, asked: Partial<GenerationRequest>])[] = [
  ["a required call", { tools: [TOOL], toolChoice: { name: TOOL.name } }],
  ["a schema", { responseSchema: SCHEMA }],
];
/** What is wished comes to no end in these: a thought that has begun, a name that ends with a word. */
const ENDLESS: readonly Family[] = [DEEPSEEK_R1, TYPED];

for (const family of FAMILIES) {
  for (const [what, asked] of ASKED) {
    if (asked.tools !== undefined && family === CHATML) continue;
    if (ENDLESS.includes(family)) continue;
    Deno.test(`Answers say the same with forced text when ${family.name} is asked for ${what}`, async () => {
      const model = familyModel(family);
      const chat = await Chat.of(model, 20_000);
      const play = (fastForward: boolean): Said => say(ask(new Answers(model, chat, { fastForward }), asked), model);
      const without = play(false);
      const { events, forced } = play(true);
      assertEquals(events, without.events);
      assertEquals(without.forced, 0);
      assert(forced > 0);
    });
  }
}
