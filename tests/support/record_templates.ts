/**
 * Records what models are trained to write: renders conversations of ours with the chat templates that the families
 * published, and keeps the assistant's turn of each, and nothing of a template. llama.cpp's source has the templates.
 *
 * Run it as `deno run -A tests/support/record_templates.ts LLAMA_CPP`, where `LLAMA_CPP` is a folder with that source,
 * of the release that docs/operations.md names.
 */
import { join } from "@std/path";
import { Template } from "../../src/engine/jinja/template.ts";
import type { TemplateFixture, TemplateRecording, TemplateRecordings, Turns } from "./template_recordings.ts";

/** How a template is given a conversation. */
interface Source {
  readonly family: string;
  readonly template: string;
  /** What it writes where the model ends its turn. */
  readonly ends: readonly string[];
  /** Where it looks for a thought. */
  readonly thoughts?: "reasoning_content" | "thinking" | "blocks";
}

type Message = Readonly<Record<string, unknown>>;

const OUTPUT = new URL("template_recordings.json", import.meta.url);

const CHATML = ["<|im_end|>\n"];
const HERMES = "NousResearch-Hermes";
const LLAMA = { family: "Llama", ends: ["<|eot_id|>"] } as const;
const MISTRAL = { family: "Mistral", ends: ["</s>"] } as const;
const SOURCES: readonly Source[] = [
  { family: "Qwen", template: "Qwen-Qwen2.5-7B-Instruct", ends: CHATML },
  { family: "Qwen", template: "Qwen-Qwen3-0.6B", ends: CHATML, thoughts: "reasoning_content" },
  { family: "Qwen", template: "Qwen3-Coder", ends: CHATML },
  { family: "Qwen", template: "Qwen3.5-4B", ends: CHATML, thoughts: "reasoning_content" },
  { family: "Hermes", template: `${HERMES}-2-Pro-Llama-3-8B-tool_use`, ends: CHATML },
  { family: "Hermes", template: `${HERMES}-3-Llama-3.1-8B-tool_use`, ends: CHATML },
  { ...LLAMA, template: "meta-llama-Llama-3.1-8B-Instruct" },
  { ...LLAMA, template: "meta-llama-Llama-3.2-3B-Instruct" },
  { ...LLAMA, template: "meta-llama-Llama-3.3-70B-Instruct" },
  { ...MISTRAL, template: "mistralai-Mistral-Nemo-Instruct-2407" },
  { ...MISTRAL, template: "Mistral-Small-3.2-24B-Instruct-2506" },
  { ...MISTRAL, template: "unsloth-mistral-Devstral-Small-2507" },
  { ...MISTRAL, template: "mistralai-Ministral-3-14B-Reasoning-2512", thoughts: "blocks" },
  { family: "Gemma", template: "google-gemma-2-2b-it", ends: ["<end_of_turn>\n"] },
  {
    family: "Gemma",
    template: "google-gemma-4-31B-it",
    // After calls it has the beginning of their results.
    ends: ["<turn|>\n", "<|tool_response>"],
    thoughts: "reasoning_content",
  },
  { family: "gpt-oss", template: "openai-gpt-oss-120b", ends: ["<|return|>", "<|call|>"], thoughts: "thinking" },
];

const THOUGHT = { thinking: 'They ask about Zürich.\n\nDo I know {"it": "不"}? I do not.' };
const TEXT = { text: 'It is 19 °C in Zürich 🌦.\n\n- "So" & <so on>, {1}\n- 不错' };
const LEAD = { text: "Let me look." };
const CALL = {
  call: "get_weather",
  input: {
    city: "Zürich 🌦",
    days: [1, -2.5, []],
    note: 'He said "ok}", C:\\new\\\n</so on> & 不错\t]}',
    options: { empty: {}, exact: true, rough: false, tags: ["a, b", "it's {c}"] },
  },
};
const PLAIN_CALL = { call: "get_time", input: {} };

/** What is said. */
const TURNS: Turns = {
  "a text": [TEXT],
  "a call": [CALL],
  "a call without arguments": [PLAIN_CALL],
  "two calls": [CALL, PLAIN_CALL],
  "a thought and a text": [THOUGHT, TEXT],
  "a thought and a call": [THOUGHT, CALL],
  "a text and a call": [LEAD, CALL],
};

const QUESTION: Message = { role: "user", content: "What is the weather?" };
const TOOLS = [CALL, PLAIN_CALL].map(({ call }) => ({
  type: "function",
  function: { name: call, description: "Look", parameters: { type: "object", properties: {} } },
}));

/**
 * Render all turns with all templates.
 *
 * @param folder llama.cpp's source.
 */
export async function recordTemplates(folder: string): Promise<TemplateFixture> {
  return { turns: TURNS, templates: await Promise.all(SOURCES.map((source) => recordTemplate(source, folder))) };
}

/** A template's text, as llama.cpp's source has it. */
export async function readTemplate(folder: string, template: string): Promise<string> {
  return await Deno.readTextFile(join(folder, "models", "templates", template));
}

async function recordTemplate(source: Source, folder: string): Promise<TemplateRecordings> {
  const template = `${source.template}.jinja`;
  const text = await readTemplate(folder, template);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const renderer = new Template(text);
  const recordings: TemplateRecording[] = [];
  const cannot: Record<string, string> = {};
  for (const turn of Object.keys(TURNS)) {
    const recording = recordTurn(source, renderer, turn);
    if (typeof recording === "string") cannot[turn] = recording;
    else recordings.push(recording);
  }
  const sha256 = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { family: source.family, template, sha256, recordings, cannot };
}

/** The turn as the template has it, or what it does instead. */
function recordTurn(source: Source, template: Template, turn: string): TemplateRecording | string {
  const said = TURNS[turn] ?? [];
  const answer = messageOf(said, source.thoughts);
  let written: readonly [prompt: string, turn: string] | undefined;
  // Asked for no thought, some templates have an empty one in the prompt.
  for (const thinking of [true, false]) {
    let prompt: string;
    let whole: string;
    try {
      prompt = render(template, thinking, [QUESTION]);
      whole = render(template, thinking, [QUESTION, answer]);
    } catch {
      return "refuses it";
    }
    if (whole.startsWith(prompt) && prompt.length >= (written?.[0].length ?? 0)) {
      written = [prompt, whole.slice(prompt.length)];
    }
  }
  if (written === undefined) throw new Error(`The prompt of ${source.template} is not the beginning of "${turn}"`);
  const [prompt, text] = written;
  for (const part of said) {
    if ("thinking" in part && !text.includes(part.thinking)) return "leaves out the thought";
    if ("text" in part && !text.includes(part.text)) return "leaves out the text";
    if ("call" in part && !text.includes(part.call)) return "leaves out a call";
  }
  const end = source.ends.find((end) => text.endsWith(end));
  if (end === undefined) throw new Error(`"${turn}" does not end as ${source.template} ends a turn`);
  return {
    turn,
    ...(/<think>\s*$/.test(prompt) ? { start: "thought" } : {}),
    text: text.slice(0, -end.length),
    end,
  };
}

function render(template: Template, thinking: boolean, messages: readonly Message[]): string {
  return template.render({
    messages,
    tools: TOOLS,
    add_generation_prompt: messages.length === 1,
    enable_thinking: thinking,
    bos_token: "",
    eos_token: "</s>",
  }).text;
}

/** As an API has it. */
function messageOf(said: Turns[string], thoughts: Source["thoughts"]): Message {
  const thinking = said.flatMap((part) => "thinking" in part ? [part.thinking] : []).join("");
  const text = said.flatMap((part) => "text" in part ? [part.text] : []).join("");
  const calls = said.flatMap((part) => "call" in part ? [{ name: part.call, arguments: part.input }] : []);
  const inBlocks = thoughts === "blocks" && thinking !== "";
  const blocks = [{ type: "thinking", thinking }, ...(text === "" ? [] : [{ type: "text", text }])];
  return {
    role: "assistant",
    content: inBlocks ? blocks : text,
    ...(thoughts === undefined || thinking === "" || inBlocks ? {} : { [thoughts]: thinking }),
    ...(calls.length === 0 ? {} : {
      // Mistral's have nine characters.
      tool_calls: calls.map((call, index) => ({ id: `call0000${index}`, type: "function", function: call })),
    }),
  };
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (folder === undefined) {
    console.error("Usage: deno run -A tests/support/record_templates.ts LLAMA_CPP");
    Deno.exit(2);
  }
  await Deno.writeTextFile(OUTPUT, `${JSON.stringify(await recordTemplates(folder), undefined, 2)}\n`);
}
