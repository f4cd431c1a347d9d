/**
 * Converts a request's messages to the form a chat template takes: one message per tool result, calls beside the text,
 * and all text marked as coming from the request.
 */
import type { ChatMessage, ContentBlock, JsonObject, Tool } from "../../../inference/request.ts";
import { asInput } from "../../jinja/template.ts";
import type { IdForm } from "../dialect/dialect.ts";

/** The model does not support this attachment; the message is for the caller. */
export class AttachmentError extends Error {
  override readonly name = "AttachmentError";
}

/** Form of messages that a template expects. */
export interface MessageForm {
  /** Content as a string or as a list of parts. */
  readonly content: "string" | "parts";
  /** Call arguments as an object or as JSON text. */
  readonly arguments: "mapping" | "text";
  /** Field for the reasoning trace; absent if the template has none. */
  readonly thoughts: ThoughtField | undefined;
  readonly ids: IdForm;
  /** Whether a tool is wrapped in a `function` object. */
  readonly tools: "function" | "flat";
  /** Value of `tools` if none are offered. */
  readonly noTools: null | readonly [];
}

/** Fields that templates read a reasoning trace from; `parts`: a part of the content. */
export type ThoughtField = "reasoning_content" | "reasoning" | "thinking" | "parts";

export const USUAL_FORM: MessageForm = {
  content: "string",
  arguments: "mapping",
  thoughts: "reasoning_content",
  ids: "any",
  tools: "function",
  noTools: null,
};

/** A message before conversion to a template's form. */
export interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
  readonly thinking?: string;
  readonly calls?: readonly Call[];
  /** For a tool result: the call it answers. */
  readonly call?: Call;
}

export interface Call {
  readonly id: string;
  readonly name: string;
  readonly input: JsonObject;
}

/** Maps tool names to names the template can express. */
export type NameMap = (name: string) => string;

/**
 * Split messages into turns: tool results become turns of their own, before the text sent with them.
 *
 * @param rename Maps tool names to names the template can express.
 * @throws {AttachmentError} If there is an attachment.
 */
export function turnsOf(messages: readonly ChatMessage[], rename: NameMap = (name) => name): Turn[] {
  const calls = new Map<string, Call>();
  return messages.flatMap(({ role, content }): Turn[] => {
    if (typeof content === "string") return [{ role, text: content }];
    if (role === "assistant") return [assistantTurn(content, calls, rename)];
    const results = content.flatMap((block): Turn[] => {
      if (block.type !== "tool_result") return [];
      const call = calls.get(block.toolCallId);
      return [{ role: "tool", text: textOf(block.content), ...(call === undefined ? {} : { call }) }];
    });
    const said = content.filter(({ type }) => type !== "tool_result");
    return said.length === 0 ? results : [...results, { role, text: textOf(said) }];
  });
}

function assistantTurn(blocks: readonly ContentBlock[], known: Map<string, Call>, rename: NameMap): Turn {
  const calls = blocks.flatMap((block): Call[] =>
    block.type === "tool_use" ? [{ id: block.toolCallId, name: rename(block.name), input: block.input }] : []
  );
  for (const call of calls) known.set(call.id, call);
  const thinking = blocks.flatMap((block) => block.type === "thinking" ? [block.text] : []).join("\n");
  return {
    role: "assistant",
    text: textOf(blocks.filter(({ type }) => type !== "tool_use" && type !== "thinking")),
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { calls }),
  };
}

function textOf(blocks: readonly ContentBlock[]): string {
  return blocks.flatMap(blockTexts).join("\n");
}

/**
 * Texts of a message, for a rough token count.
 *
 * @param thoughts Whether to include thoughts.
 * @throws {AttachmentError} If there is an attachment.
 */
export function textsOf({ content }: ChatMessage, thoughts: boolean): string[] {
  if (typeof content === "string") return [content];
  return content.flatMap((block) => block.type === "thinking" && !thoughts ? [] : blockTexts(block));
}

function blockTexts(block: ContentBlock): string[] {
  switch (block.type) {
    case "text":
    case "thinking":
      return [block.text];
    case "tool_use":
      return [block.name, JSON.stringify(block.input)];
    case "tool_result":
      return block.content.flatMap(blockTexts);
    case "media":
      throw new AttachmentError(`This model takes text only, no ${block.attachment.kind}`);
  }
}

export function messagesFor(turns: readonly Turn[], form: MessageForm): Record<string, unknown>[] {
  const ids = idsOf(turns, form.ids);
  return turns.map(({ role, text, thinking, calls, call }) => {
    if (role === "tool") {
      return {
        role,
        content: contentFor(text, undefined, form),
        ...(call === undefined ? {} : { name: asInput(call.name), tool_call_id: asInput(ids(call)) }),
      };
    }
    return {
      role,
      content: contentFor(text, form.thoughts === "parts" ? thinking : undefined, form),
      ...(thinking === undefined || form.thoughts === undefined || form.thoughts === "parts"
        ? {}
        : { [form.thoughts]: asInput(thinking) }),
      ...(calls === undefined ? {} : {
        tool_calls: calls.map((call) => ({
          id: asInput(ids(call)),
          type: "function",
          function: {
            name: asInput(call.name),
            arguments: asInput(form.arguments === "mapping" ? call.input : spacedJson(call.input)),
          },
        })),
      }),
    };
  });
}

function contentFor(text: string, thinking: string | undefined, { content }: MessageForm): unknown {
  if (content === "string" && thinking === undefined) return asInput(text);
  return [
    ...(thinking === undefined ? [] : [{ type: "thinking", thinking: asInput(thinking) }]),
    ...(text === "" && thinking !== undefined ? [] : [{ type: "text", text: asInput(text) }]),
  ];
}

export function toolsFor(tools: readonly Tool[], form: MessageForm, rename: NameMap = (name) => name): unknown {
  if (tools.length === 0) return form.noTools;
  return tools.map(({ name, description, inputSchema }) => {
    const tool = { name: rename(name), description, parameters: inputSchema };
    if (form.tools === "flat") return asInput(tool);
    return { type: "function", function: asInput(tool) };
  });
}

/** JSON with Python's spacing, as in the models' training data. */
export function spacedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spacedJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${spacedJson(entry)}`).join(", ")}}`;
}

const SHORT_ID = /^[A-Za-z0-9]{9}$/;

/** Call ids in the family's format; a call and its result get the same one. */
function idsOf(turns: readonly Turn[], form: IdForm): (call: Call) => string {
  if (form === "any") return ({ id }) => id;
  const ids = new Map<string, string>();
  const taken = new Set<string>();
  for (const { calls = [] } of turns) {
    for (const [index, { id, name }] of calls.entries()) {
      let made = id;
      if (form === "numbered") made = `functions.${name}:${ids.size}`;
      else if (form === "renumbered") made = `functions.${name}:${index}`;
      else if (!SHORT_ID.test(id)) made = shortened(id);
      while (taken.has(made) && form === "short") made = shortened(made);
      ids.set(id, made);
      taken.add(made);
    }
  }
  return ({ id }) => ids.get(id) ?? id;
}

/** Nine alphanumeric characters derived from any text (FNV-1a). */
function shortened(id: string): string {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < id.length; at++) {
    a = Math.imul(a ^ id.charCodeAt(at), 0x01000193);
    b = Math.imul(b ^ id.charCodeAt(at), 0x85ebca6b);
  }
  return ((a >>> 0).toString(36) + (b >>> 0).toString(36)).padStart(9, "0").slice(-9);
}
