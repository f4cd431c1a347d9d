/** Generation v2 on the wire: blocks and attachments as frames, frames as events. */
import { Buffer } from "node:buffer";
import { isText, joined, type LongText, type V2Request, type V2Tool } from "../protocol/mod.ts";
import type { Attachment, Block, Tool, ToolUse } from "../blocks.ts";
import type { Codec, Step } from "./exchange.ts";
import { jsonSchemaOf } from "../standard_schema.ts";
import {
  expectId,
  type Fields,
  isRecord,
  list,
  number,
  numbers,
  parse,
  readFailure,
  record,
  text,
  wireSampling,
  wrong,
} from "./frames.ts";
import type {
  GenerationEvent,
  GenerationResult,
  GenerationTimings,
  ProgressEvent,
  TokenLogprob,
  TokenProbability,
} from "../generation_events.ts";
import type { Usage } from "../generation.ts";
import type { GenerateV2Fields } from "../generation_v2.ts";

/** How many bytes make one part of a text in base64; a multiple of three. */
const ENCODED_BYTES = 768 * 1024;

type V2Step<Tools extends readonly Tool[]> = Step<GenerationEvent<Tools>, GenerationResult<Tools>>;

/** A v2 request, and its answer so far. */
export class V2Codec<Tools extends readonly Tool[]> implements Codec<GenerationEvent<Tools>, GenerationResult<Tools>> {
  readonly id: string;
  readonly frame: V2Request;
  #text = "";
  #thinking = "";
  readonly #toolCalls: ToolUse<Tools>[] = [];
  #logprobs: TokenLogprob[] | undefined;

  /** @throws {TypeError} If it uses options that v2 does not have. */
  constructor(request: GenerateV2Fields<Tools>) {
    if (request.json === true && request.schema !== undefined) {
      throw new TypeError('Cannot generate: "schema" says already that the answer is JSON, "json" goes without it');
    }
    this.id = request.id ?? crypto.randomUUID();
    this.frame = v2Request(request, this.id);
  }

  read(line: string): V2Step<Tools> | undefined {
    const frame = parse(line);
    if (frame.type === "frame") {
      expectId(frame, this.id);
      const event = this.#event(record(frame, "block"), frame);
      return event === undefined ? undefined : { type: "event", event };
    }
    if (frame.type === "progress") {
      expectId(frame, this.id);
      return { type: "event", event: readProgress(frame) };
    }
    if (frame.type === "done") {
      expectId(frame, this.id);
      return this.#end(frame);
    }
    return readFailure(frame, this.id);
  }

  #event(block: Fields, frame: Fields): GenerationEvent<Tools> | undefined {
    const { type } = block;
    if (type === "text") {
      const piece = text(block, "delta");
      this.#text += piece;
      if (frame.logprobs === undefined) return { type, text: piece };
      const logprobs = list(frame, "logprobs").map((entry) => readLogprob(frame, entry));
      (this.#logprobs ??= []).push(...logprobs);
      return { type, text: piece, logprobs };
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
    const result: GenerationResult<Tools> = {
      text: this.#text,
      thinking: this.#thinking,
      toolCalls: this.#toolCalls,
      usage: readUsage(record(frame, "usage")),
      ...(frame.timings === undefined ? {} : { timings: readTimings(record(frame, "timings")) }),
      ...(this.#logprobs === undefined ? {} : { logprobs: this.#logprobs }),
      stopReason: text(frame, "stop_reason"),
      ...(frame.stop_sequence === undefined ? {} : { stopSequence: text(frame, "stop_sequence") }),
      backend: text(frame, "backend"),
      toolChoiceUnsatisfied: frame.tool_choice_unsatisfied === true,
      ...(frame.tokens === undefined ? {} : { tokens: numbers(frame, "tokens") }),
    };
    return { type: "end", event: { type: "done", ...result }, result };
  }
}

function readProgress(frame: Fields): ProgressEvent {
  return {
    type: "progress",
    processedTokens: number(frame, "processed_tokens"),
    usage: readUsage(record(frame, "usage")),
    timings: readTimings(record(frame, "timings")),
  };
}

function readUsage(usage: Fields): Usage {
  return {
    promptTokens: number(usage, "input_tokens"),
    completionTokens: number(usage, "output_tokens"),
    ...(usage.cached_tokens === undefined ? {} : { cachedTokens: number(usage, "cached_tokens") }),
    ...(usage.forced_tokens === undefined ? {} : { forcedTokens: number(usage, "forced_tokens") }),
    ...(usage.prepared_tokens === undefined ? {} : { preparedTokens: number(usage, "prepared_tokens") }),
    ...(usage.drafted_tokens === undefined ? {} : { draftedTokens: number(usage, "drafted_tokens") }),
    ...(usage.accepted_tokens === undefined ? {} : { acceptedTokens: number(usage, "accepted_tokens") }),
  };
}

function readTimings(timings: Fields): GenerationTimings {
  return {
    queueMs: number(timings, "queue_ms"),
    promptMs: number(timings, "prompt_ms"),
    generationMs: number(timings, "generation_ms"),
  };
}

function readLogprob(frame: Fields, entry: unknown): TokenLogprob {
  if (!isRecord(entry)) throw wrong(frame, "logprobs", "objects");
  return { ...readProbability(frame, entry), top: list(entry, "top").map((other) => readProbability(frame, other)) };
}

function readProbability(frame: Fields, entry: unknown): TokenProbability {
  if (!isRecord(entry)) throw wrong(frame, "logprobs", "objects");
  return {
    token: text(entry, "token"),
    ...(entry.token_id === undefined ? {} : { tokenId: number(entry, "token_id") }),
    bytes: numbers(entry, "bytes"),
    logprob: number(entry, "logprob"),
  };
}

function v2Request(request: GenerateV2Fields, id: string): V2Request {
  const { model, messages, attachments, tools, toolChoice, schema, thinking } = request;
  const { stream, json, logprobs, prompt, suffix, grammar, ignoreEos } = request;
  const frame: { [Key in keyof Required<V2Request>]: unknown } = {
    id,
    model,
    messages: messages.map(({ role, content }) => ({ role, content: wireContent(content) })),
    prompt,
    suffix,
    extra: request.extra?.map(({ filename, text }) => ({ filename, text })),
    infill_sampling: request.infillSampling,
    generation_prompt: request.generationPrompt,
    template_variables: request.templateVariables,
    attachments: attachments?.map(wireAttachment),
    tools: wireTools(tools),
    tool_choice: toolChoice,
    response_format: schema !== undefined
      ? { type: "json_schema", schema: jsonSchemaOf(schema) }
      : json === true
      ? { type: "json_object" }
      : undefined,
    grammar,
    ignore_eos: ignoreEos,
    thinking,
    stream,
    logprobs,
    logprobs_after_sampling: request.logprobsAfterSampling,
    progress: request.progress,
    return_tokens: request.returnTokens,
    ...wireSampling(request),
  };
  return frame as V2Request;
}

/** Encode tools. */
export function wireTools(tools: readonly Tool[] | undefined): V2Tool[] | undefined {
  return tools?.map(({ name, description, inputSchema }) => ({
    name,
    description,
    input_schema: jsonSchemaOf(inputSchema),
  }));
}

/** Encode the content of a message, as `V2Block`s of which texts may be in parts. */
export function wireContent(content: LongText | readonly Block<LongText>[]): unknown[] {
  return isText(content) ? [{ type: "text", text: content }] : content.map(wireBlock);
}

function wireBlock(block: Block<LongText>): unknown {
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

function wireAttachment({ id, kind, mime, bytes }: Attachment<LongText>): unknown {
  return { id, kind, ...(mime === undefined ? {} : { mime }), bytes: isText(bytes) ? bytes : toBase64(bytes) };
}

function toBase64(bytes: Uint8Array): LongText {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += ENCODED_BYTES) {
    const part = bytes.subarray(at, at + ENCODED_BYTES);
    parts.push(Buffer.from(part.buffer, part.byteOffset, part.length).toString("base64"));
  }
  return joined(parts);
}
