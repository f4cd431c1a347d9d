/** Requests as backends get them, after defaults and limits. */
import type { EmbedTask } from "@inferd/client/protocol";

/** What JSON calls an object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The types of JSON. */
export type JsonType = "string" | "integer" | "number" | "boolean" | "null" | "array" | "object";

/** A part of a message that is more than text. */
export type ContentBlock =
  | { readonly type: "text"; readonly text: string }
  /** What an assistant thought in an earlier turn; not empty. */
  | { readonly type: "thinking"; readonly text: string }
  | { readonly type: "media"; readonly attachment: Attachment }
  | ToolUse
  | { readonly type: "tool_result"; readonly toolCallId: string; readonly content: readonly ContentBlock[] };

/** A call of a tool, made by the model. */
export interface ToolUse {
  readonly type: "tool_use";
  readonly toolCallId: string;
  readonly name: string;
  readonly input: JsonObject;
}

/** An image, audio or video attachment. */
export interface Attachment {
  readonly kind: "image" | "audio" | "video";
  readonly mime: string;
  /** Checked base64. */
  readonly base64: string;
}

/** One turn of a conversation. Every tool result in it belongs to an earlier call. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  /** A string where there is nothing but text. */
  readonly content: string | readonly ContentBlock[];
}

/** Something the model may call. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
}

/** Whether the model may, must or must not call a tool; with a name, it must call that one and no other. */
export type ToolChoice = "auto" | "required" | "none" | { readonly name: string };

/** How the next token is chosen. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** Absent: another one for each request. */
  readonly seed?: number;
  /** Tokens less likely than this share of the likeliest one's probability are left out. Absent: off. */
  readonly minP?: number;
  /** Taken off the logit of every token among the last ones. Absent: 0. */
  readonly presencePenalty?: number;
  /** Taken off it once for each time it is there. Absent: 0. */
  readonly frequencyPenalty?: number;
  /** The logit of every token among the last ones is divided by this, a negative one multiplied. Absent: 1. */
  readonly repeatPenalty?: number;
  /** Added to the logits of tokens. Absent: nothing. */
  readonly logitBias?: readonly TokenBias[];
}

/** What is added to a token's logit. */
export type TokenBias = readonly [token: number, bias: number];

/** What a surface fills in where the caller says nothing, by its name on the wire. */
export type DefaultedField = "temperature" | "top_p" | "top_k" | "max_tokens";

/** A request after defaults and limits: nothing in it is optional but what has no default. */
export interface GenerationRequest {
  readonly messages: readonly ChatMessage[];
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** What the caller left out; absent: nothing. A server that refuses such a field may be asked without it. */
  readonly defaulted?: readonly DefaultedField[];
  readonly stop: readonly string[];
  /** GBNF the whole answer has to follow; never together with tools, a schema or thinking. */
  readonly grammar?: string;
  readonly tools: readonly Tool[];
  /** `required` only where there are tools, a name only of one of them. */
  readonly toolChoice: ToolChoice;
  /** JSON Schema the text has to follow; never where a call is required. */
  readonly responseSchema?: JsonObject;
  /** Tell with each piece of text how likely its tokens were, and this many of the likeliest ones. Absent: do not. */
  readonly logprobs?: number;
  /** Whether the model is asked to think first. */
  readonly thinking: boolean;
}

/** The schema of an answer that may be any JSON object; told from others by identity. */
export const ANY_OBJECT: JsonObject = { type: "object" };

/** What a request has that asks for nothing but text. */
export const PLAIN = { tools: [], toolChoice: "auto", thinking: false } as const;

/** What a vector is for. */
export type { EmbedTask };

/** How the vectors of a text's tokens are pooled into one vector or score. */
export type Pooling = "mean" | "cls" | "last" | "rank";

/** Texts to embed. */
export interface EmbedRequest {
  readonly input: readonly string[];
  readonly dimensions?: number;
  readonly task?: EmbedTask;
}

/** Vectors of unit length, in the order of the texts. */
export interface EmbedAnswer {
  readonly vectors: readonly Float32Array[];
  readonly dimensions: number;
  readonly model: string;
  readonly inputTokens: number;
}

/** Documents to score against a query. */
export interface RerankRequest {
  readonly query: string;
  readonly documents: readonly string[];
}

/** The model's raw output for each document, in the order of the request. */
export interface RerankAnswer {
  readonly scores: readonly number[];
  readonly model: string;
  readonly inputTokens: number;
}

/** What can be asked of a model's tokenizer and chat template. */
export type TokenizerRequest =
  | {
    readonly type: "tokenize";
    readonly text: string;
    /** With the tokens that the model wants before and after a text. */
    readonly addSpecial: boolean;
    /** Names of control tokens in the text stand for these tokens. */
    readonly parseSpecial: boolean;
  }
  | { readonly type: "detokenize"; readonly tokens: readonly number[] }
  | { readonly type: "count" | "apply_template"; readonly conversation: Conversation };

/** A conversation as a prompt is made of it. */
export type Conversation = Pick<GenerationRequest, "messages" | "tools" | "toolChoice" | "thinking">;

/** Tokens for `tokenize`, a text for `detokenize` and `apply_template`, a number of tokens for `count`. */
export type TokenizerAnswer =
  | { readonly tokens: readonly number[] }
  | { readonly text: string }
  | { readonly count: number };
