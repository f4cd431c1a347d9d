/**
 * Wire format of generation v2: typed blocks, attachments, tools, a reasoning trace, structured output.
 *
 * @module
 */
import type { GenerationFields, InvalidRequestReason, V1ErrorCode, V1Role } from "./v1.ts";

/** Anything a JSON object can hold. */
export type JsonObject = { [key: string]: unknown };

/**
 * What an attachment is.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V2MediaKind } from "@inferd/client";
 *
 * export function kindOf(mime: string): V2MediaKind | undefined {
 *   return (["image", "audio", "video"] as const).find((kind) => mime.startsWith(`${kind}/`));
 * }
 * ```
 */
export type V2MediaKind = "image" | "audio" | "video";

/** Text. */
export interface V2TextBlock {
  /** Discriminates the block. */
  type: "text";
  /** The text. */
  text: string;
}

/** A place where an attachment is shown to the model. */
export interface V2MediaBlock {
  /** Discriminates the block; the attachment is of the same kind. */
  type: V2MediaKind;
  /** Which attachment. */
  attachment_id: string;
}

/** A call the model made earlier, in an assistant's message. A later message has its result. */
export interface V2ToolUseBlock {
  /** Discriminates the block. */
  type: "tool_use";
  /** The call's id, as it came. */
  tool_call_id: string;
  /** Which tool. */
  name: string;
  /** Its arguments. */
  input: JsonObject;
}

/** What a call came to; stands in a user's message. */
export interface V2ToolResultBlock {
  /** Discriminates the block. */
  type: "tool_result";
  /** The id of the call, which an earlier `tool_use` has. */
  tool_call_id: string;
  /** The result: text and media. */
  content: V2Block[];
}

/** What the model thought in an earlier turn; only in an assistant's message. */
export interface V2ThinkingBlock {
  /** Discriminates the block. */
  type: "thinking";
  /** The reasoning trace. Empty text says nothing. */
  text: string;
}

/** A part of a message. */
export type V2Block = V2TextBlock | V2MediaBlock | V2ToolUseBlock | V2ToolResultBlock | V2ThinkingBlock;

/** One turn of the conversation. */
export interface V2Message {
  /** Who said it. */
  role: V1Role;
  /** What was said. */
  content: V2Block[];
}

/** Bytes that blocks refer to. */
export interface V2Attachment {
  /** What blocks call it; unique in the request. */
  id: string;
  /** What it is. */
  kind: V2MediaKind;
  /** Its media type, e.g. `image/png`. May be left out where the bytes tell: PNG, JPEG, GIF, WebP, MP3, WAV, MP4 and others. */
  mime?: string;
  /** Base64. */
  bytes: string;
}

/** Something the model may call. */
export interface V2Tool {
  /** Unique in the request: 1 to 128 of the letters A-Z and a-z, digits and `_ - . / :`. */
  name: string;
  /** What it does, for the model. */
  description: string;
  /** JSON Schema of its arguments; an object's. */
  input_schema: JsonObject;
}

/**
 * Whether the model may, must or must not call a tool; with a name, it must call that one and no other.
 *
 * @category Tools
 *
 * @example
 * ```ts
 * import type { V2ToolChoice } from "@inferd/client";
 *
 * export function choiceOf(text: string): V2ToolChoice {
 *   return text === "auto" || text === "required" || text === "none" ? text : { name: text };
 * }
 * ```
 */
export type V2ToolChoice = "auto" | "required" | "none" | {
  /** The name of one of the request's tools. */
  name: string;
};

/** What the text of the answer has to be: JSON under a schema, or any JSON object. */
export type V2ResponseFormat = {
  /** Discriminates the format. */
  type: "json_schema";
  /** The JSON Schema. */
  schema: JsonObject;
} | {
  /** Discriminates the format. */
  type: "json_object";
};

/**
 * A text of another place, such as a piece of another file.
 *
 * @example
 * ```ts
 * import type { V2ExtraText } from "@inferd/client/protocol";
 *
 * export const extra: V2ExtraText = { filename: "add.ts", text: "export function add(a: number, b: number): number;" };
 * ```
 */
export interface V2ExtraText {
  /** The name of its file, which models that mark files are told. */
  filename?: string;
  /** The text. */
  text: string;
}

/**
 * A v2 request as a client sends it; the daemon fills in what is left out.
 *
 * @example
 * ```ts
 * import type { V2Request } from "@inferd/client/protocol";
 *
 * export const request: V2Request = {
 *   id: "1",
 *   messages: [{ role: "user", content: [{ type: "text", text: "Name a colour." }] }],
 *   response_format: { type: "json_schema", schema: { enum: ["red", "green"] } },
 * };
 * ```
 */
export interface V2Request extends GenerationFields {
  /** Name of a backend or of a model it serves; no other backend answers. Absent: any, in the operator's order. */
  model?: string;
  /** The conversation; empty, or absent, only with `prompt`. */
  messages: V2Message[];
  /**
   * In place of `messages`: a text that the model continues as it is, without a chat template, or texts and token ids in
   * a row. Names of control tokens stand for these.
   */
  prompt?: string | (string | number)[];
  /** Only with `prompt`: what follows the answer, which fills the middle. Needs a model with tokens for that. */
  suffix?: string;
  /** Only with `suffix`: at most 256 texts of other places, the most important last. The prompt is then cut to fit. */
  extra?: V2ExtraText[];
  /**
   * `true`: sample as for filling in text: only tokens that the model is sure of, and where there is none, the answer
   * ends. Default `false`. Not with `tools`, `response_format` or `grammar`.
   */
  infill_sampling?: boolean;
  /**
   * `true`: the prompt opens a turn of the assistant's, also after a message of the assistant's. `false`: it ends with
   * the last message. Absent: it opens a turn, but a last message of the assistant's is continued.
   */
  generation_prompt?: boolean;
  /** Variables for the model's chat template, beside those that it is given anyway. Not with `prompt`. */
  template_variables?: Record<string, unknown>;
  /** At most 32. */
  attachments?: V2Attachment[];
  /** At most 128. */
  tools?: V2Tool[];
  /** Default `auto`. */
  tool_choice?: V2ToolChoice;
  /** Absent: any text. */
  response_format?: V2ResponseFormat;
  /** A GBNF grammar the answer has to follow; not with `tools`, `response_format` or `thinking`. */
  grammar?: string;
  /** `true`: the model does not end the answer, which goes on up to `max_tokens` or a stop string. Default `false`. */
  ignore_eos?: boolean;
  /** Asks for a reasoning trace. Default `false`: the model is asked not to think. */
  thinking?: boolean;
  /** `false`: text and thinking come as one frame each, before `done`. Default `true`. */
  stream?: boolean;
  /** 0 … 20: tell with each text how likely its tokens were, and so many of the likeliest in their places. */
  logprobs?: number;
  /**
   * `true`: `logprobs` are those that sampling drew from, among the tokens that were left to choose from. Default
   * `false`: as the model has them, before sampling.
   */
  logprobs_after_sampling?: boolean;
  /**
   * `true`: tell in `progress` frames how far the prompt is, and before each other frame how far the answer is. Default
   * `false`. Has no effect with `stream: false`.
   */
  progress?: boolean;
  /** `true`: `done` has the tokens of the prompt and of the answer. Default `false`. */
  return_tokens?: boolean;
}

/** How likely the model found a token. */
export interface V2TokenProbability {
  /** The token's text; bytes that are no whole character as U+FFFD. */
  token: string;
  /** Its id; absent where a remote server does not tell it. */
  token_id?: number;
  /** The bytes of its text. */
  bytes: number[];
  /** Natural logarithm of its probability: as the model has it, or after sampling, as the request asks. */
  logprob: number;
}

/** A token of the answer's text. */
export interface V2Logprob extends V2TokenProbability {
  /** The likeliest tokens in its place, the likeliest first; as many as were asked for. */
  top: V2TokenProbability[];
}

/** A piece of the answer's text. */
export interface V2TextDelta {
  /** Discriminates the block. */
  type: "text";
  /** The piece. */
  delta: string;
}

/** A piece of the reasoning trace. */
export interface V2ThinkingDelta {
  /** Discriminates the block. */
  type: "thinking";
  /** The piece. */
  delta: string;
}

/** A part of the answer. A `tool_use` is complete, never in pieces. */
export interface V2Frame {
  /** The request's id. */
  id: string;
  /** Discriminates the frame. */
  type: "frame";
  /** The tokens that begin in the block's text, where the request asks for them. */
  logprobs?: V2Logprob[];
  /** The part. */
  block: V2TextDelta | V2ThinkingDelta | V2ToolUseBlock;
}

/** Token counts of one answer. */
export interface V2Usage {
  /** Tokens of the rendered conversation. */
  input_tokens: number;
  /** Tokens generated. */
  output_tokens: number;
  /** Those of `input_tokens` that did not have to be computed: an earlier request had the same beginning. */
  cached_tokens: number;
  /** Those of `output_tokens` that a grammar forced, so that they were not sampled; absent: none. */
  forced_tokens?: number;
  /** Those of `cached_tokens` that were prepared after an earlier answer, in a quiet moment; absent: none. */
  prepared_tokens?: number;
  /** Tokens that were guessed ahead of the model; absent: none. */
  drafted_tokens?: number;
  /** How many of them were what the model chose. */
  accepted_tokens?: number;
}

/** How far a request is, where it asks for that. */
export interface V2ProgressFrame {
  /** The request's id. */
  id: string;
  /** Discriminates the frame. */
  type: "progress";
  /** Those tokens of the prompt that are processed, or came from a cache. */
  processed_tokens: number;
  /** Token counts so far. */
  usage: V2Usage;
  /** How long it took so far. */
  timings: V2Timings;
}

/** How long the parts of an answer took, in milliseconds. */
export interface V2Timings {
  /** It waited for its turn. */
  queue_ms: number;
  /** Its prompt was processed, up to the first token. */
  prompt_ms: number;
  /** From the first token to the end. */
  generation_ms: number;
}

/**
 * Why a v2 answer ended.
 *
 * @category Generation
 *
 * @example
 * ```ts
 * import type { V2StopReason } from "@inferd/client";
 *
 * export function wasCut(reason: V2StopReason): boolean {
 *   return reason === "max_tokens";
 * }
 * ```
 */
export type V2StopReason = "end_turn" | "max_tokens" | "tool_use" | "stop_sequence" | "cancelled" | "error";

/** The answer is complete. */
export interface V2DoneFrame {
  /** The request's id. */
  id: string;
  /** Discriminates the frame. */
  type: "done";
  /** Token counts. */
  usage: V2Usage;
  /** How long it took. */
  timings: V2Timings;
  /** Why it ended. */
  stop_reason: V2StopReason;
  /** The stop string that occurred, where the backend knows. */
  stop_sequence?: string;
  /** Which backend answered; for diagnosis only. */
  backend: string;
  /** A call was required and did not come before the tokens ran out. */
  tool_choice_unsatisfied?: true;
  /** Where the request asks for them: ids of the prompt's tokens, then of the answer's without the one that ends it. */
  tokens?: number[];
}

/**
 * The codes a v2 error frame carries: v1's, and
 *
 * - `attachment_unsupported`: no backend takes attachments of that kind. Do not retry.
 * - `tool_call_malformed`: the model wrote a call that cannot be read, or that its schema refuses. May be retried.
 */
export type V2ErrorCode = V1ErrorCode | "attachment_unsupported" | "tool_call_malformed";

/** The request failed. */
export interface V2ErrorFrame {
  /** The request's id, `""` where it could not be read. */
  id: string;
  /** Discriminates the frame. */
  type: "error";
  /** What kind of failure. */
  code: V2ErrorCode;
  /** One sentence for a person. */
  message: string;
  /** Which case of `invalid_request` it is; absent on others. */
  reason?: InvalidRequestReason;
  /** With `context_length`, if it is known: tokens of the prompt, so many at least. */
  prompt_tokens?: number;
  /** With `context_length`, if it is known: tokens that prompt and answer together may have. */
  context_tokens?: number;
}

/**
 * Every frame a daemon sends on the v2 socket.
 *
 * @example
 * ```ts
 * import type { V2ServerFrame } from "@inferd/client/protocol";
 *
 * export function textOf(frame: V2ServerFrame): string {
 *   return frame.type === "frame" && frame.block.type === "text" ? frame.block.delta : "";
 * }
 * ```
 */
export type V2ServerFrame = V2Frame | V2ProgressFrame | V2DoneFrame | V2ErrorFrame;
