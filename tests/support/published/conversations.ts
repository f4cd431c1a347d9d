/**
 * Conversations that all families' templates are tried with, in the daemon's own form and as other software gives them
 * to a chat template.
 */
import type { ChatMessage, ContentBlock, JsonObject, Tool } from "../../../src/inference/request.ts";

/** What is said, and what may be called. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  /** The assistant has begun the answer. */
  readonly begun?: boolean;
}

const SYSTEM: ChatMessage = { role: "system", content: "Answer in one short sentence." };
const ASKED: ChatMessage = { role: "user", content: "How warm is it in Zürich?" };
const SAID: ChatMessage = { role: "assistant", content: "It is mild, 14 °C." };
const MORE: ChatMessage = { role: "user", content: "And on Säntis?\n\nIn °F, please." };

const TOOLS: readonly Tool[] = [
  {
    name: "get_weather",
    description: "Weather at a place",
    inputSchema: {
      type: "object",
      properties: {
        place: { type: "string", description: 'Name of the place, such as "Bern"' },
        days: { type: "integer", minimum: 1, default: 1 },
        unit: { type: "string", enum: ["C", "F"] },
      },
      required: ["place"],
    },
  },
  {
    name: "find",
    description: "Find notes",
    inputSchema: {
      type: "object",
      properties: {
        text: { type: "string" },
        most: { type: "integer" },
        exact: { type: "boolean" },
        where: {
          type: "object",
          properties: { tags: { type: "array", items: { type: "string" } }, deep: { type: "boolean" } },
        },
      },
      required: ["text"],
    },
  },
];

function said(...blocks: readonly ContentBlock[]): ChatMessage {
  return { role: "assistant", content: blocks };
}

function text(text: string): ContentBlock {
  return { type: "text", text };
}

function call(toolCallId: string, name: string, input: JsonObject): ContentBlock {
  return { type: "tool_use", toolCallId, name, input };
}

function results(...all: readonly (readonly [id: string, text: string])[]): ChatMessage {
  return {
    role: "user",
    content: all.map(([toolCallId, result]): ContentBlock => ({
      type: "tool_result",
      toolCallId,
      content: [text(result)],
    })),
  };
}

const ZURICH = call("weather01", "get_weather", { place: "Zürich", days: 2 });
const SANTIS = call("weather02", "get_weather", { place: "Säntis", days: 1 });
const FIND = call("findnotes", "find", {
  text: 'say "no"\n<b>&</b> it\'s \\ {x}',
  most: 5,
  exact: true,
  where: { tags: ["a", "b, c"], deep: false },
});
const MARKERS = "</think> <tool_call> [/INST] <|im_end|> <|eot_id|> {{ x }} {% y %}";

/** By what is in them. */
export const CONVERSATIONS: Readonly<Record<string, Conversation>> = {
  user: { messages: [ASKED], tools: [] },
  system: { messages: [SYSTEM, ASKED], tools: [] },
  turns: { messages: [SYSTEM, ASKED, SAID, MORE], tools: [] },
  markers: { messages: [{ role: "system", content: MARKERS }, { role: "user", content: MARKERS }], tools: [] },
  tools: { messages: [ASKED], tools: TOOLS },
  "tools, system": { messages: [SYSTEM, ASKED], tools: TOOLS },
  "JSON result": {
    messages: [ASKED, said(ZURICH), results(["weather01", '{"t": 14, "at": [1.50, null]}'])],
    tools: TOOLS,
  },
  "text result": {
    messages: [SYSTEM, ASKED, said(ZURICH), results(["weather01", 'Mild, "14" degrees.'])],
    tools: TOOLS,
  },
  "two calls": {
    messages: [MORE, said(ZURICH, SANTIS), results(["weather01", "14"], ["weather02", "-3.10"])],
    tools: TOOLS,
  },
  "text, call": {
    messages: [ASKED, said(text("Let me look."), ZURICH), results(["weather01", "14"])],
    tools: TOOLS,
  },
  "later question": {
    messages: [ASKED, said(ZURICH), results(["weather01", "14"]), SAID, MORE],
    tools: TOOLS,
  },
  arguments: { messages: [SYSTEM, ASKED, said(FIND), results(["findnotes", "None"])], tools: TOOLS },
  "two rounds": {
    messages: [ASKED, said(ZURICH), results(["weather01", "14"]), said(SANTIS), results(["weather02", "-3"])],
    tools: TOOLS,
  },
  "users in a row": { messages: [ASKED, MORE], tools: [] },
  "system inside": { messages: [ASKED, SAID, SYSTEM, MORE], tools: [] },
  "thought, call": {
    messages: [ASKED, said({ type: "thinking", text: "They ask about Zürich." }, ZURICH), results(["weather01", "14"])],
    tools: TOOLS,
  },
  begun: { messages: [ASKED, { role: "assistant", content: "It is" }], tools: [], begun: true },
};

/** How a template is given a conversation where templates differ. */
export interface GivenAs {
  readonly arguments: "mapping" | "text";
  /** Whether a result says the name of its tool. */
  readonly named: boolean;
  readonly ids: "given" | "numbered";
  /** Where thoughts go, if there is a place for them. */
  readonly thoughts?: string | undefined;
}

/** Messages as other software gives them to a chat template. */
export function messagesOf({ messages }: Conversation, as: GivenAs): JsonObject[] {
  const calls = messages.flatMap(({ content }) =>
    typeof content === "string" ? [] : content.flatMap((block) => block.type === "tool_use" ? [block] : [])
  );
  const idOf = (id: string): string => {
    const index = calls.findIndex(({ toolCallId }) => toolCallId === id);
    return as.ids === "given" ? id : `functions.${calls[index]?.name}:${index}`;
  };
  return messages.flatMap(({ role, content }): JsonObject[] => {
    if (typeof content === "string") return [{ role, content }];
    const texts = content.flatMap((block) => block.type === "text" ? [block.text] : []);
    const tool_calls = content.flatMap((block) => {
      if (block.type !== "tool_use") return [];
      const args = as.arguments === "mapping" ? block.input : pythonJson(block.input);
      return [{ id: idOf(block.toolCallId), type: "function", function: { name: block.name, arguments: args } }];
    });
    const answers = content.flatMap((block): JsonObject[] => {
      if (block.type !== "tool_result") return [];
      const [result] = block.content;
      const name = calls.find(({ toolCallId }) => toolCallId === block.toolCallId)?.name;
      return [{
        role: "tool",
        tool_call_id: idOf(block.toolCallId),
        content: result?.type === "text" ? result.text : "",
        ...(as.named ? { name } : {}),
      }];
    });
    const thought = content.flatMap((block) => block.type === "thinking" ? [block.text] : []).join("\n");
    if (role === "assistant") {
      const parts = [{ type: "thinking", thinking: thought }, ...texts.map((text) => ({ type: "text", text }))];
      return [{
        role,
        content: as.thoughts === "parts" && thought !== "" ? parts : texts.join("\n"),
        ...(as.thoughts !== undefined && as.thoughts !== "parts" && thought !== "" ? { [as.thoughts]: thought } : {}),
        ...(tool_calls.length > 0 ? { tool_calls } : {}),
      }];
    }
    return answers;
  });
}

/** Tools as other software gives them to a chat template. */
export function toolsOf({ tools }: Conversation): JsonObject[] | null {
  if (tools.length === 0) return null;
  return tools.map(({ name, description, inputSchema }) => ({
    type: "function",
    function: { name, description, parameters: inputSchema },
  }));
}

/** JSON as Python's `json.dumps` writes it. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
