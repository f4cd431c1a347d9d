/** Requests as backends receive them, after defaults and limits. */
import type { EmbedTask, LongText } from "@inferd/client/protocol";

export type JsonObject = Readonly<Record<string, unknown>>;

export type JsonType = "string" | "integer" | "number" | "boolean" | "null" | "array" | "object";

/** `Text`: `LongText` for those that a client has just sent, which can be many megabytes. */
export type ContentBlock<Text extends LongText = string> =
  | { readonly type: "text"; readonly text: Text }
  /** An assistant's thought of an earlier turn; not empty. */
  | { readonly type: "thinking"; readonly text: Text }
  | { readonly type: "media"; readonly attachment: Attachment }
  | ToolUse
  | { readonly type: "tool_result"; readonly toolCallId: string; readonly content: readonly ContentBlock<Text>[] };

export interface ToolUse {
  readonly type: "tool_use";
  readonly toolCallId: string;
  readonly name: string;
  readonly input: JsonObject;
}

export interface Attachment {
  readonly kind: "image" | "audio" | "video";
  readonly mime: string;
  /** Validated base64. */
  readonly base64: LongText;
}

/** A message of a conversation. Every tool result refers to an earlier call. */
export interface ChatMessage<Text extends LongText = string> {
  readonly role: "system" | "user" | "assistant";
  /** A text if there is nothing else. */
  readonly content: Text | readonly ContentBlock<Text>[];
}

export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject;
}

/** Whether the model may, must or must not call a tool; with a name, it must call that one. */
export type ToolChoice = "auto" | "required" | "none" | { readonly name: string };

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** Absent: random. */
  readonly seed?: number;
  /** Minimum probability relative to the most likely token. Absent: off. */
  readonly minP?: number;
  /** Subtracted from the logit of every token in the penalty window. Absent: 0. */
  readonly presencePenalty?: number;
  /** Subtracted once per occurrence in the penalty window. Absent: 0. */
  readonly frequencyPenalty?: number;
  /** Divides positive and multiplies negative logits of tokens in the penalty window. Absent: 1. */
  readonly repeatPenalty?: number;
  /** Added to the logits of tokens. Absent: none. */
  readonly logitBias?: readonly TokenBias[];
}

export type TokenBias = readonly [token: number, bias: number];

/** Fields with defaults, by their names on the wire. */
export type DefaultedField = "temperature" | "top_p" | "top_k" | "max_tokens";

/** A request after defaults and limits; only fields without default are optional. */
export interface GenerationRequest<Text extends LongText = string> {
  /** Empty only with a prompt. */
  readonly messages: readonly ChatMessage<Text>[];
  /** In place of messages: texts, in which names of control tokens stand for these, and token ids; not empty. */
  readonly prompt?: readonly (Text | number)[];
  /** Only with a prompt: the text after the answer, which fills the middle. */
  readonly suffix?: string;
  /** Only with a suffix: texts of other places, the most important last, which precede the prompt as far as they fit. */
  readonly extra?: readonly ExtraText[];
  /** Sampling for filling in text; never with anything that the answer has to follow. */
  readonly infillSampling?: true;
  /**
   * Whether the prompt opens an assistant's turn. Absent: it does, unless the last message is the assistant's, which is
   * continued.
   */
  readonly generationPrompt?: boolean;
  /** Further variables of the chat template. */
  readonly templateVariables?: JsonObject;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /**
   * Fields that the caller left out; absent: none. If a server rejects such a field, the request may be retried without
   * it.
   */
  readonly defaulted?: readonly DefaultedField[];
  readonly stop: readonly string[];
  /** GBNF grammar for the whole answer; never together with tools, a schema or thinking. */
  readonly grammar?: string;
  /** The model does not end the answer; never with anything that the answer has to follow. */
  readonly ignoreEos?: true;
  readonly tools: readonly Tool[];
  /** `required` only with tools, a name only of one of them. */
  readonly toolChoice: ToolChoice;
  /** JSON Schema for the text; never together with a required call. */
  readonly responseSchema?: JsonObject;
  /** Report log probabilities with this many top tokens. Absent: none. */
  readonly logprobs?: number;
  /** These are the probabilities that sampling drew from. */
  readonly logprobsAfterSampling?: true;
  /** Report progress events. */
  readonly progress?: true;
  /** Report the tokens of prompt and answer. */
  readonly returnTokens?: true;
  readonly thinking: boolean;
}

/** A text of another place, such as a piece of another file. */
export interface ExtraText {
  readonly filename?: string;
  readonly text: string;
}

/** Schema of an arbitrary JSON object; recognised by identity. */
export const ANY_OBJECT: JsonObject = { type: "object" };

export const PLAIN = { tools: [], toolChoice: "auto", thinking: false } as const;

export type { EmbedTask };

export type Pooling = "mean" | "cls" | "last" | "rank";

export interface EmbedRequest {
  /** Texts, or the ids of their tokens; with a task only texts. */
  readonly input: readonly (string | readonly number[])[];
  readonly dimensions?: number;
  readonly task?: EmbedTask;
}

/** Unit vectors, in the order of the texts. */
export interface EmbedAnswer {
  readonly vectors: readonly Float32Array[];
  readonly dimensions: number;
  readonly model: string;
  readonly inputTokens: number;
}

export interface RerankRequest {
  readonly query: string;
  readonly documents: readonly string[];
}

/** Raw scores, in the order of the documents. */
export interface RerankAnswer {
  readonly scores: readonly number[];
  readonly model: string;
  readonly inputTokens: number;
}

/** Queries to a model's tokenizer and chat template. */
export type TokenizerRequest<Text extends LongText = string> =
  | {
    readonly type: "tokenize";
    readonly text: string;
    /** Whether to add BOS and EOS as the model does. */
    readonly addSpecial: boolean;
    /** Whether to parse the names of control tokens. */
    readonly parseSpecial: boolean;
  }
  | {
    readonly type: "detokenize";
    readonly tokens: readonly number[];
    /** Each token's bytes are wanted in place of the text. */
    readonly pieces: boolean;
    /** The number of the first of these tokens, where they are a part of more; default 0. */
    readonly from?: number;
  }
  | { readonly type: "count" | "apply_template"; readonly conversation: Conversation<Text> };

/** The parts of a request that make up its prompt. */
export type Conversation<Text extends LongText = string> = Pick<
  GenerationRequest<Text>,
  "messages" | "tools" | "toolChoice" | "thinking" | "generationPrompt" | "templateVariables"
>;

/**
 * Tokens for `tokenize`, text for `detokenize` and `apply_template`, each token's bytes for `detokenize` with `pieces`,
 * a token count for `count`.
 */
export type TokenizerAnswer =
  | { readonly tokens: readonly number[] }
  | { readonly text: string }
  | { readonly pieces: readonly (readonly number[])[] }
  | { readonly count: number };
