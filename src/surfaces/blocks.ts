/**
 * The conversation of a v2 request: which blocks a turn may hold, and that calls, results and attachments match each
 * other.
 */
import { joined, type LongText, type V2Block } from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import type { ChatMessage, ContentBlock, ToolUse } from "../inference/request.ts";
import {
  listed,
  readNonEmptyArray,
  readNonEmptyString,
  readOneOf,
  readRecord,
  readString,
  readText,
  refuse,
  shown,
} from "../pipeline/resolve.ts";
import { type Attachments, MEDIA_KINDS } from "./attachments.ts";
import { checkMessages, ROLES } from "./generation.ts";
import { readJsonObject } from "./json_limits.ts";
import { readToolName } from "./tools.ts";

/** A place for blocks, as error messages name it, and the types allowed there. */
const PLACES: Readonly<Record<Place, { readonly text: string; readonly allowed: readonly V2Block["type"][] }>> = {
  system: { text: "a system turn", allowed: ["text", ...MEDIA_KINDS] },
  user: { text: "a user turn", allowed: ["text", ...MEDIA_KINDS, "tool_result"] },
  assistant: { text: "an assistant turn", allowed: ["text", ...MEDIA_KINDS, "thinking", "tool_use"] },
  result: { text: "a tool_result", allowed: ["text", ...MEDIA_KINDS] },
};

type Place = ChatMessage["role"] | "result";

interface Call {
  readonly field: string;
  answered: boolean;
}

/**
 * Read `messages`.
 *
 * @param attachments Marked as used when a block refers to them.
 * @throws {InvalidRequestError} If a message is invalid.
 */
export function readConversation(value: unknown, attachments: Attachments): ChatMessage<LongText>[] {
  return new ConversationReader(attachments).read(value);
}

class ConversationReader {
  readonly #attachments: Attachments;
  readonly #calls = new Map<string, Call>();
  #count = 0;

  constructor(attachments: Attachments) {
    this.#attachments = attachments;
  }

  read(value: unknown): ChatMessage<LongText>[] {
    const messages = this.#entries("messages", value).map((message, index) => this.#message(message, index));
    for (const [id, { field, answered }] of this.#calls) {
      if (answered) continue;
      // No chat template can render it, and only the caller knows the result.
      throw new InvalidRequestError(
        `"${field}" must be answered: no later message has a tool_result for ${shown(id)}. ` +
          "Add one, or leave the tool_use out",
      );
    }
    return messages;
  }

  #message(value: unknown, index: number): ChatMessage<LongText> {
    const field = `messages[${index}]`;
    const message = readRecord(field, value);
    const role = readOneOf(`${field}.role`, message.role, ROLES);
    const content = this.#blocks(`${field}.content`, message.content, role)
      .filter((block) => block.type !== "thinking" || block.text !== "");
    const texts = content.flatMap((block) => block.type === "text" ? [block.text] : []);
    return { role, content: texts.length === content.length ? joined(texts, "\n") : content };
  }

  /** The nesting ends with a result in a message: a result holds no results. */
  #blocks(field: string, value: unknown, place: Place): ContentBlock<LongText>[] {
    return this.#entries(field, value).map((block, index) => this.#block(`${field}[${index}]`, block, place));
  }

  /** Messages, or blocks. */
  #entries(field: string, value: unknown): readonly unknown[] {
    const entries = readNonEmptyArray(field, value);
    this.#count += entries.length;
    checkMessages(this.#count);
    return entries;
  }

  #block(field: string, value: unknown, place: Place): ContentBlock<LongText> {
    const block = readRecord(field, value);
    const { text, allowed } = PLACES[place];
    const type = allowed.find((choice) => choice === block.type);
    switch (type) {
      case undefined:
        return refuse(`${field}.type`, `${listed(allowed)} in ${text}`, block.type);
      case "text":
      case "thinking":
        return { type, text: readText(`${field}.text`, block.text) };
      case "tool_use":
        return this.#toolUse(field, block);
      case "tool_result": {
        const toolCallId = this.#answer(`${field}.tool_call_id`, block.tool_call_id);
        return { type, toolCallId, content: this.#blocks(`${field}.content`, block.content, "result") };
      }
      default: {
        const attachment = this.#attachments.refer(`${field}.attachment_id`, block.attachment_id, type);
        return { type: "media", attachment };
      }
    }
  }

  #toolUse(field: string, block: Readonly<Record<string, unknown>>): ToolUse {
    const toolCallId = readNonEmptyString(`${field}.tool_call_id`, block.tool_call_id);
    if (this.#calls.has(toolCallId)) {
      throw new InvalidRequestError(`"${field}.tool_call_id" must be unique, got ${shown(toolCallId)} again`);
    }
    this.#calls.set(toolCallId, { field, answered: false });
    return {
      type: "tool_use",
      toolCallId,
      name: readToolName(`${field}.name`, block.name),
      input: readJsonObject(`${field}.input`, block.input),
    };
  }

  /** Calls are in assistant turns and results in user turns, so a known call is in an earlier message. */
  #answer(field: string, value: unknown): string {
    const id = readString(field, value);
    const call = this.#calls.get(id);
    if (call === undefined) refuse(field, "the tool_call_id of a tool_use in an earlier message", id);
    if (call.answered) {
      throw new InvalidRequestError(`"${field}" must have one tool_result, got another for ${shown(id)}`);
    }
    call.answered = true;
    return id;
  }
}
