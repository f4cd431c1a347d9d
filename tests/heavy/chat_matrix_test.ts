/**
 * The prompts of every chat template that comes with llama.cpp, beside what Python's jinja2 renders of the same
 * conversation, with thinking and without: a table by template, and every cell that differs and why. Needs
 * `INFERD_LLAMA_CPP_DIR`, a folder with llama.cpp's source, and a Python with jinja2; skipped without.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { ChatMessage, JsonObject, Tool } from "../../src/backend/backend.ts";
import { Chat, type Conversation } from "../../src/engine/chat/chat.ts";
import { spacedJson } from "../../src/engine/chat/messages.ts";
import { modelOf } from "../support/chat_model.ts";
import { type Answer, findPython, renderWithPython } from "../support/jinja_reference.ts";

const folder = Deno.env.get("INFERD_LLAMA_CPP_DIR") ?? "";
const python = folder === "" ? undefined : await findPython();

/** How many of the cells that the reference renders are to be the same. */
const LEAST = 0.98;
const CONTEXT_TOKENS = 100_000;
const [BOS, EOS] = ["<s>", "</s>"];

/** Switches of thinking that are not called as in most templates, and what a template is given for them. */
const SWITCHES: Readonly<Record<string, (thinking: boolean) => JsonObject>> = {
  "ByteDance-Seed-OSS": (thinking) => thinking ? {} : { thinking_budget: 0 },
  "Cohere2MoE": (reasoning) => ({ reasoning }),
  "MiniMax-M3": (thinking) => thinking ? {} : { thinking_mode: "disabled" },
  "deepseek-ai-DeepSeek-V4-Flash-0731": (thinking) => ({ reasoning_effort: thinking ? "high" : "low" }),
  "openai-gpt-oss-120b": (thinking) => ({ reasoning_effort: thinking ? "medium" : "low" }),
  "tencent-Hy3": (thinking) => ({ reasoning_effort: thinking ? "high" : "no_think" }),
  "upstage-Solar-Open-100B": (thinking) => ({ reasoning_effort: thinking ? "high" : "low" }),
};

/** Why the prompts of a template differ from the reference, where they are to. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "NVIDIA-Nemotron-Nano-v2": "thinking is switched off by a word in the system message, which the reference lacks",
  "moonshotai-Kimi-K2": "results are found by ids that the model was trained on, which the reference is not given",
};

/** A message as an API has it. */
type Message = Record<string, unknown>;

interface Case {
  readonly name: string;
  readonly conversation: Omit<Conversation, "thinking">;
  /** The same as the reference is given it. */
  readonly messages: readonly Message[];
  readonly tools: readonly JsonObject[] | null;
}

const TOOLS: readonly Tool[] = [{
  name: "get_weather",
  description: "The weather in a city",
  inputSchema: {
    type: "object",
    properties: { city: { type: "string", description: "Its name" }, days: { type: "integer" } },
    required: ["city"],
  },
}, { name: "get_time", description: "What time it is", inputSchema: { type: "object", properties: {} } }];

const SYSTEM: ChatMessage = { role: "system", content: "Answer in one sentence." };
const QUESTION: ChatMessage = { role: "user", content: 'What is the weather in Oslo?\n\nIn "°C", please.' };
const ANSWER: ChatMessage = { role: "assistant", content: "It is 19 °C." };
const AGAIN: ChatMessage = { role: "user", content: "And in Zürich? 🌦" };
const ID = "call00001";
const OTHER_ID = "call00002";

const call = (name: string, input: JsonObject, id = ID): ChatMessage => ({
  role: "assistant",
  content: [{ type: "tool_use", toolCallId: id, name, input }],
});
const result = (text: string, id = ID): ChatMessage => ({
  role: "user",
  content: [{ type: "tool_result", toolCallId: id, content: [{ type: "text", text }] }],
});
const LOOK = call("get_weather", { city: "Oslo", days: 3 });

const CASES: readonly Case[] = [
  caseOf("a question", [QUESTION]),
  caseOf("a system message", [SYSTEM, QUESTION]),
  caseOf("several turns", [SYSTEM, QUESTION, ANSWER, AGAIN]),
  caseOf("tools", [QUESTION], TOOLS),
  caseOf("tools and a system message", [SYSTEM, QUESTION, ANSWER, AGAIN], TOOLS),
  caseOf("a result", [QUESTION, LOOK, result('3.10 °C, "cold"')], TOOLS),
  caseOf("a result that is JSON", [QUESTION, LOOK, result('{"degrees": 3.10, "sky": null}')], TOOLS),
  caseOf("a call without arguments", [QUESTION, call("get_time", {}), result("12:00")], TOOLS),
  caseOf("a result and more turns", [QUESTION, LOOK, result("cold"), ANSWER, AGAIN], TOOLS),
  caseOf("two calls, one after another", [
    QUESTION,
    LOOK,
    result("cold"),
    call("get_time", {}, OTHER_ID),
    result("12:00", OTHER_ID),
  ], TOOLS),
];

function caseOf(name: string, messages: readonly ChatMessage[], tools: readonly Tool[] = []): Case {
  return {
    name,
    conversation: { messages, tools, toolChoice: "auto" },
    messages: apiMessages(messages),
    tools: tools.length === 0 ? null : tools.map(({ name, description, inputSchema: parameters }) => ({
      type: "function",
      function: { name, description, parameters },
    })),
  };
}

function apiMessages(messages: readonly ChatMessage[]): Message[] {
  const names = new Map<string, string>();
  return messages.flatMap(({ role, content }) => {
    if (typeof content === "string") return [{ role, content }];
    return content.map((block): Message => {
      if (block.type === "tool_use") {
        const { toolCallId: id, name, input } = block;
        names.set(id, name);
        return { role, content: "", tool_calls: [{ id, type: "function", function: { name, arguments: input } }] };
      }
      assert(block.type === "tool_result");
      const text = block.content.map((part) => part.type === "text" ? part.text : "").join("");
      return { role: "tool", tool_call_id: block.toolCallId, name: names.get(block.toolCallId), content: text };
    });
  });
}

/** The ways in which templates take messages; the reference takes the first that one does not refuse. */
const FORMS: readonly ((messages: readonly Message[]) => readonly Message[])[] = [
  (messages) => messages,
  (messages) => messages.map(({ name: _, ...message }) => message),
  (messages) => messages.map(withText),
  (messages) => messages.map(({ name: _, ...message }) => withText(message)),
];

/** With a call's arguments as text. */
function withText(message: Message): Message {
  const { tool_calls: calls } = message as { tool_calls?: { function: JsonObject }[] };
  if (calls === undefined) return message;
  return {
    ...message,
    tool_calls: calls.map((one) => ({
      ...one,
      function: { ...one.function, arguments: spacedJson(one.function.arguments) },
    })),
  };
}

function ours(chat: Chat, { conversation }: Case, thinking: boolean): string {
  try {
    return chat.text({ ...conversation, thinking }).text;
  } catch (error) {
    return `(${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Where two texts begin to differ. */
function difference(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const part = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 30), at + 60));
  return `${part(one)} instead of ${part(other)}`;
}

Deno.test({
  name: "chat templates render conversations as their makers meant",
  ignore: python === undefined,
  async fn(): Promise<void> {
    assert(python !== undefined);
    const path = join(folder, "models", "templates");
    const files = Array.from(Deno.readDirSync(path), ({ name }) => name).filter((name) => name.endsWith(".jinja"));
    const templates = files.sort().map((file) => ({
      name: file.slice(0, -".jinja".length),
      template: Deno.readTextFileSync(join(path, file)),
    }));
    const cells = CASES.flatMap((one) => [false, true].map((thinking) => ({ one, thinking })));
    const jobs = templates.map(({ name, template }) => ({
      template,
      variables: cells.flatMap(({ one, thinking }) =>
        FORMS.map((form) => ({
          messages: form(one.messages),
          tools: one.tools,
          add_generation_prompt: true,
          bos_token: BOS,
          eos_token: EOS,
          enable_thinking: thinking,
          thinking,
          ...SWITCHES[name]?.(thinking),
        }))
      ),
    }));
    const reference = await renderWithPython(python, jobs, new Date());
    const unexplained: string[] = [];
    let same = 0;
    let all = 0;
    for (const [at, { name, template }] of templates.entries()) {
      const chat = await Chat.of(
        modelOf({ template, bos: BOS, eos: EOS, addsBos: true, control: [BOS, EOS], ends: [EOS] }),
        CONTEXT_TOKENS,
      );
      const reason = EXCEPTIONS[name];
      const differing: string[] = [];
      let rendered = 0;
      for (const [cell, { one, thinking }] of cells.entries()) {
        const answers = reference[at]?.slice(cell * FORMS.length, (cell + 1) * FORMS.length) ?? [];
        const theirs = answers.find((answer): answer is Extract<Answer, { text: string }> => "text" in answer);
        if (theirs === undefined) continue;
        rendered++;
        const text = ours(chat, one, thinking);
        if (text === theirs.text) continue;
        differing.push(`    ${one.name}, thinking ${thinking ? "on" : "off"}: ${difference(text, theirs.text)}`);
      }
      all += rendered;
      same += rendered - differing.length;
      const row = `${name.padEnd(52)} ${rendered - differing.length} of ${rendered}`;
      console.log([row, ...reason === undefined ? differing : [`    ${reason}`]].join("\n"));
      if (reason === undefined) unexplained.push(...differing);
    }
    console.log(`${same} of ${all} cells are the same, ${(same / all * 100).toFixed(1)} %`);
    assertEquals(unexplained, []);
    assert(same >= all * LEAST);
  },
});
