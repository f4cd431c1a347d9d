/** Generation v2 on the wire: blocks and attachments as frames, frames as events. */
import { Buffer } from "node:buffer";
import type { V2Attachment, V2Block, V2Request } from "../protocol/mod.ts";
import type { Attachment, Block, Tool, ToolUse } from "../blocks.ts";
import type { Codec, Step } from "./exchange.ts";
import { expectId, type Fields, number, parse, readFailure, record, text } from "./frames.ts";
import type { GenerateV2Fields, GenerationV2Event, GenerationV2Result } from "../generation_v2.ts";

type V2Step<Tools extends readonly Tool[]> = Step<GenerationV2Event<Tools>, GenerationV2Result<Tools>>;

/** One v2 request, and what of its answer has come. */
export class V2Codec<Tools extends readonly Tool[]>
  implements Codec<GenerationV2Event<Tools>, GenerationV2Result<Tools>> {
  readonly id: string;
  readonly frame: V2Request;
  #text = "";
  #thinking = "";
  readonly #toolCalls: ToolUse<Tools>[] = [];

  /**
   * @param request What the caller said.
   * @throws {TypeError} If it asks for what v2 does not have.
   */
  constructor(request: GenerateV2Fields<Tools>) {
    // Callers without types may try; to leave it out silently would be an answer that breaks their grammar.
    if (request.grammar !== undefined) {
      throw new TypeError('Cannot generate: "grammar" is for plain text alone, "schema" does that here');
    }
    this.id = request.id ?? crypto.randomUUID();
    this.frame = v2Request(request, this.id);
  }

  read(line: string): V2Step<Tools> | undefined {
    const frame = parse(line);
    if (frame.type === "frame") {
      expectId(frame, this.id);
      const event = this.#event(record(frame, "block"));
      return event === undefined ? undefined : { type: "event", event };
    }
    if (frame.type === "done") {
      expectId(frame, this.id);
      return this.#end(frame);
    }
    return readFailure(frame, this.id);
  }

  #event(block: Fields): GenerationV2Event<Tools> | undefined {
    const { type } = block;
    if (type === "text") {
      const piece = text(block, "delta");
      this.#text += piece;
      return { type, text: piece };
    }
    if (type === "thinking") {
      const piece = text(block, "delta");
      this.#thinking += piece;
      return { type, text: piece };
    }
    if (type !== "tool_use") return undefined;
    const call = {
      type,
      toolCallId: text(block, "tool_call_id"),
      name: text(block, "name"),
      input: record(block, "input"),
      // The daemon lets a model call only tools of the request, with arguments their schemas allow.
    } as ToolUse<Tools>;
    this.#toolCalls.push(call);
    return call;
  }

  #end(frame: Fields): V2Step<Tools> {
    const usage = record(frame, "usage");
    const result: GenerationV2Result<Tools> = {
      text: this.#text,
      thinking: this.#thinking,
      toolCalls: this.#toolCalls,
      usage: { promptTokens: number(usage, "input_tokens"), completionTokens: number(usage, "output_tokens") },
      stopReason: text(frame, "stop_reason"),
      backend: text(frame, "backend"),
      toolChoiceUnsatisfied: frame.tool_choice_unsatisfied === true,
    };
    return { type: "end", event: { type: "done", ...result }, result };
  }
}

function v2Request(request: GenerateV2Fields, id: string): V2Request {
  const { messages, attachments, tools, toolChoice, schema, thinking } = request;
  const { temperature, topP, topK, maxTokens, stream, seed, stop } = request;
  const frame: { [Key in keyof Required<V2Request>]: unknown } = {
    id,
    messages: messages.map(({ role, content }) => ({ role, content: wireContent(content) })),
    attachments: attachments?.map(wireAttachment),
    tools: tools?.map(({ name, description, inputSchema }) => ({ name, description, input_schema: inputSchema })),
    tool_choice: toolChoice,
    response_format: schema === undefined ? undefined : { type: "json_schema", schema },
    thinking,
    temperature,
    top_p: topP,
    top_k: topK,
    max_tokens: maxTokens,
    stream,
    seed,
    stop,
  };
  return frame as V2Request;
}

function wireContent(content: string | readonly Block[]): V2Block[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content.map(wireBlock);
}

function wireBlock(block: Block): V2Block {
  switch (block.type) {
    case "image":
    case "audio":
    case "video":
      return { type: block.type, attachment_id: block.attachmentId };
    case "tool_use":
      return { type: block.type, tool_call_id: block.toolCallId, name: block.name, input: block.input };
    case "tool_result":
      return { type: block.type, tool_call_id: block.toolCallId, content: wireContent(block.content) };
    default:
      return block;
  }
}

function wireAttachment({ id, kind, mime, bytes }: Attachment): V2Attachment {
  const base64 = typeof bytes === "string"
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  return { id, kind, ...(mime === undefined ? {} : { mime }), bytes: base64 };
}
