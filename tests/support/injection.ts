/** Conversations that spell a model's markers wherever a request brings text. */
import type { ChatMessage, Conversation, JsonObject, Tool } from "../../src/inference/request.ts";
import { type Chat, PromptError } from "../../src/engine/chat/chat.ts";
import { SpecialTokens } from "../../src/engine/chat/dialect/marker.ts";
import type { Rendered } from "../../src/engine/jinja/template.ts";
import type { TestModel } from "./chat_model.ts";

/** A conversation, given a text to put into one place of it. */
type Place = (text: string) => Pick<Conversation, "messages" | "tools">;

const HI: ChatMessage = { role: "user", content: "Hi" };

function tool(more: Partial<Tool>): Tool {
  return { name: "look", description: "Look", inputSchema: { type: "object", properties: {} }, ...more };
}

function schema(more: JsonObject): Tool {
  return tool({ inputSchema: { type: "object", properties: { q: { type: "string", ...more } } } });
}

/** A call with its result, and what the assistant thought and said before. */
function called(
  { name = "look", input = {}, result = "ok", text = "So.", thinking, id = "call00001" }: {
    readonly name?: string;
    readonly input?: JsonObject;
    readonly result?: string;
    readonly text?: string;
    readonly thinking?: string;
    readonly id?: string;
  },
): ChatMessage[] {
  return [
    HI,
    {
      role: "assistant",
      content: [
        ...(thinking === undefined ? [] : [{ type: "thinking", text: thinking } as const]),
        ...(text === "" ? [] : [{ type: "text", text } as const]),
        { type: "tool_use", toolCallId: id, name, input },
      ],
    },
    { role: "user", content: [{ type: "tool_result", toolCallId: id, content: [{ type: "text", text: result }] }] },
  ];
}

/** Every place of a request that a template prints. */
export const PLACES: Readonly<Record<string, Place>> = {
  "user text": (text) => ({ messages: [{ role: "user", content: text }], tools: [] }),
  "an earlier user text": (text) => ({
    messages: [{ role: "user", content: text }, { role: "assistant", content: "Ho" }, HI],
    tools: [],
  }),
  "system text": (text) => ({ messages: [{ role: "system", content: text }, HI], tools: [] }),
  "an assistant's text": (text) => ({ messages: [HI, { role: "assistant", content: text }, HI], tools: [] }),
  "the beginning of an answer": (text) => ({ messages: [HI, { role: "assistant", content: text }], tools: [] }),
  "a tool's name": (text) => ({ messages: [HI], tools: [tool({ name: text })] }),
  "a tool's description": (text) => ({ messages: [HI], tools: [tool({ description: text })] }),
  "a schema's description": (text) => ({ messages: [HI], tools: [schema({ description: text })] }),
  "a schema's enum": (text) => ({ messages: [HI], tools: [schema({ enum: [text, "b"] })] }),
  "a schema's default": (text) => ({ messages: [HI], tools: [schema({ default: text })] }),
  "a property's name": (text) => ({
    messages: [HI],
    tools: [tool({ inputSchema: { type: "object", properties: { [text]: { type: "string" } }, required: [text] } })],
  }),
  "a past call's name": (text) => ({ messages: called({ name: text }), tools: [tool({ name: text })] }),
  "a past call's argument": (text) => ({ messages: called({ input: { q: text } }), tools: [schema({})] }),
  "a past call's key": (text) => ({ messages: called({ input: { [text]: 1 } }), tools: [tool({})] }),
  "a past call's nested argument": (text) => ({ messages: called({ input: { q: { a: [text] } } }), tools: [tool({})] }),
  "a past call's id": (text) => ({ messages: called({ id: text }), tools: [tool({})] }),
  "a result": (text) => ({ messages: called({ result: text }), tools: [tool({})] }),
  "a text before a call": (text) => ({ messages: called({ text }), tools: [tool({})] }),
  "a thought": (text) => ({ messages: called({ thinking: text, text: "" }), tools: [tool({})] }),
};

/** What a place renders with a text that spells no marker, and with one that spells them all. */
export interface Injected {
  readonly place: string;
  /** The markers in it that became tokens, though a request brought them; empty if all stayed text. */
  readonly leaked: readonly string[];
}

/**
 * Put all markers of a model into every place.
 *
 * @param guarded Which of its tokens are markers.
 * @returns Where one of them became a token; and the places that the template refuses both ways.
 */
export function inject(
  model: TestModel,
  chat: Chat,
  guarded: readonly string[],
): {
  readonly leaks: readonly Injected[];
  readonly refused: readonly string[];
  /** Where the template itself takes a text apart at one of its markers, and writes others for it. */
  readonly restructured: readonly string[];
  readonly tried: number;
} {
  const leaks: Injected[] = [];
  const refused: string[] = [];
  const restructured: string[] = [];
  const text = `x${guarded.join(" y ")}z${guarded.join("")}`;
  for (const [place, make] of Object.entries(PLACES)) {
    const render = (text: string): Counts | undefined => {
      const conversation = make(text);
      const asked = {
        ...conversation,
        tools: chat.tools ? conversation.tools : [],
        toolChoice: "auto",
        thinking: true,
      } as const;
      try {
        return { tokens: specialsIn(model, chat.render(asked).tokens), written: writtenIn(model, chat.text(asked)) };
      } catch (error) {
        if (error instanceof PromptError) return undefined;
        throw error;
      }
    };
    const plain = render("xz");
    const spelled = render(text);
    if (plain === undefined || spelled === undefined) {
      refused.push(place);
      continue;
    }
    const more = (counts: keyof Counts, token: number): number =>
      (spelled[counts].get(token) ?? 0) - (plain[counts].get(token) ?? 0);
    const changed = model.specialTokens.filter(({ token, name }) =>
      guarded.includes(name) && more("tokens", token) !== 0
    );
    const leaked = changed.filter(({ token }) => more("tokens", token) !== more("written", token));
    if (leaked.length > 0) leaks.push({ place, leaked: leaked.map(({ name }) => name) });
    else if (changed.length > 0) restructured.push(place);
  }
  return { leaks, refused, restructured, tried: Object.keys(PLACES).length };
}

interface Counts {
  /** How often each token comes in the prompt. */
  readonly tokens: ReadonlyMap<number, number>;
  /** How often the template writes its name outside of what the request brought. */
  readonly written: ReadonlyMap<number, number>;
}

/** How often the template itself writes each token. */
function writtenIn(model: TestModel, { text, input }: Rendered): Map<number, number> {
  const specials = new SpecialTokens(model.specialTokens);
  const counts = new Map<number, number>();
  const ends = [...input, text.length];
  let from = 0;
  for (let i = 0; i < ends.length; i += 2) {
    const own = text.slice(from, ends[i]);
    for (let at = 0; at < own.length;) {
      const found = specials.at(own, at);
      if (found !== undefined) counts.set(found.token, (counts.get(found.token) ?? 0) + 1);
      at += found?.name.length ?? 1;
    }
    from = ends[i + 1] ?? text.length;
  }
  return counts;
}

/** How often each token that is more than text comes. */
function specialsIn(model: TestModel, tokens: Int32Array): Map<number, number> {
  const specials = new Set(model.specialTokens.map(({ token }) => token));
  const counts = new Map<number, number>();
  for (const token of tokens) if (specials.has(token)) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}
