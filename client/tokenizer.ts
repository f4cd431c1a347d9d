/**
 * Requests to a model's tokenizer and chat template, in the public interface and on the wire: one request, one response
 * frame, over the socket of generation v2.
 */
import type { LongText, TokenizerRequest, TokenizerType, V2Block, V2Message } from "./protocol/mod.ts";
import type { Message, Tool, ToolChoice } from "./blocks.ts";
import type { Codec } from "./wire/exchange.ts";
import { type Fields, list, number, numbers, oneFrame, text, wrong } from "./wire/frames.ts";
import { wireContent, wireTools } from "./wire/frames_v2.ts";
import type { RequestOptions } from "./options.ts";

/**
 * Options of tokenizer requests.
 *
 * @category Tokens
 *
 * @example
 * ```ts
 * import type { TokenizerOptions } from "@inferd/client";
 *
 * export const options: TokenizerOptions = { model: "inferd-tiny" };
 * ```
 */
export interface TokenizerOptions extends RequestOptions {
  /** Name of a backend or of a model it serves. Default: any, in the operator's order. */
  readonly model?: string | undefined;
}

/**
 * Options of tokenizing.
 *
 * @category Tokens
 *
 * @example
 * ```ts
 * import type { TokenizeOptions } from "@inferd/client";
 *
 * // As a whole prompt in the model's own form.
 * export const asPrompt: TokenizeOptions = { addSpecial: true, parseSpecial: true };
 * ```
 */
export interface TokenizeOptions extends TokenizerOptions {
  /** Add the special tokens that the model expects around a text. Default `false`. */
  readonly addSpecial?: boolean | undefined;
  /** Parse names of control tokens in the text as these tokens. Default `false`. */
  readonly parseSpecial?: boolean | undefined;
}

/**
 * A conversation to render as a prompt.
 *
 * @category Tokens
 *
 * @example
 * ```ts
 * import type { PromptRequest } from "@inferd/client";
 *
 * export const request: PromptRequest = { messages: [{ role: "user", content: "What is a fox?" }], thinking: true };
 * ```
 */
export interface PromptRequest {
  /** The conversation, not empty. */
  readonly messages: readonly Message<LongText>[];
  /** The tools that the model may call; at most 128. */
  readonly tools?: readonly Tool[] | undefined;
  /** `none` leaves the tools out of the prompt. Default `auto`. */
  readonly toolChoice?: ToolChoice | undefined;
  /** Requests a reasoning trace. Default `false`. */
  readonly thinking?: boolean | undefined;
  /**
   * `true`: the prompt opens a turn of the assistant's, also after a message of the assistant's. `false`: it ends with
   * the last message. Default: it opens a turn, but a last message of the assistant's is continued.
   */
  readonly generationPrompt?: boolean | undefined;
  /** Variables for the model's chat template, beside those that it is given anyway, such as `date_string`. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
}

/** Codec of tokenizing. */
export function tokenizeCodec(request: string, options: TokenizeOptions): Codec<readonly number[], readonly number[]> {
  const { model, addSpecial, parseSpecial } = options;
  const fields = { model, text: request, add_special: addSpecial, parse_special: parseSpecial };
  return codec("tokenize", fields, (answer) => {
    return numbers(answer, "tokens");
  });
}

/** Codec of detokenizing. */
export function detokenizeCodec(tokens: readonly number[], { model }: TokenizerOptions): Codec<string, string> {
  return codec("detokenize", { model, tokens }, (answer) => text(answer, "text"));
}

/** Codec of token bytes. */
export function piecesCodec(
  tokens: readonly number[],
  { model }: TokenizerOptions,
): Codec<readonly Uint8Array[], readonly Uint8Array[]> {
  return codec("detokenize", { model, tokens, pieces: true }, (answer) =>
    list(answer, "pieces").map((piece) => {
      const isBytes = Array.isArray(piece) && piece.every((byte) => typeof byte === "number");
      if (!isBytes) throw wrong(answer, "pieces", "lists of numbers");
      return Uint8Array.from(piece);
    }));
}

/** Codec of counting a prompt's tokens. */
export function countCodec(request: PromptRequest, { model }: TokenizerOptions): Codec<number, number> {
  return codec("count", { model, ...conversationFields(request) }, (answer) => number(answer, "input_tokens"));
}

/** Codec of rendering a prompt. */
export function templateCodec(request: PromptRequest, { model }: TokenizerOptions): Codec<string, string> {
  return codec("apply_template", { model, ...conversationFields(request) }, (answer) => text(answer, "text"));
}

function conversationFields(
  { messages, tools, toolChoice, thinking, generationPrompt, templateVariables }: PromptRequest,
): Readonly<Record<string, unknown>> {
  return {
    messages: messages.map(({ role, content }): V2Message => ({ role, content: wireContent(content) as V2Block[] })),
    tools: wireTools(tools),
    tool_choice: toolChoice,
    thinking,
    generation_prompt: generationPrompt,
    template_variables: templateVariables,
  };
}

function codec<Result>(
  type: TokenizerType,
  fields: { readonly [Key in keyof TokenizerRequest]?: unknown },
  result: (answer: Fields) => Result,
): Codec<Result, Result> {
  return oneFrame(type, { type, ...fields }, result);
}
