/** Client of the model's tokenizer and chat template. */
import type { PromptRequest, TokenizeOptions, TokenizerOptions } from "./tokenizer.ts";

/**
 * Tokens and prompts of the model that the daemon serves; part of a client.
 *
 * @category Tokens
 *
 * @example
 * ```ts
 * import type { ModelTokenizer } from "@inferd/client";
 *
 * export async function fits(model: ModelTokenizer, text: string, most: number): Promise<boolean> {
 *   return (await model.countTokens(text)) <= most;
 * }
 * ```
 */
export interface ModelTokenizer {
  /**
   * Turn a text into tokens, as the model has them. Waits for no other request.
   *
   * @param text The text; at most 1 048 576 characters.
   * @param options `addSpecial`, `parseSpecial`, `model`, and `signal` to cancel.
   * @returns The ids of the tokens.
   * @throws {InvalidRequestError} If the text is too long, or the backend (a remote one) does not know its model's tokens.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function without(client: Client, prompt: string, words: readonly string[]): Promise<string> {
   *   const tokens = await Promise.all(words.map((word) => client.tokenize(` ${word}`)));
   *   const logitBias = Object.fromEntries(tokens.map(([first = 0]) => [first, -100]));
   *   return await client.generate({ messages: [{ role: "user", content: prompt }], logitBias }).text();
   * }
   * ```
   */
  tokenize(text: string, options?: TokenizeOptions): Promise<readonly number[]>;

  /**
   * Turn tokens into the text they stand for. Control tokens are their names.
   *
   * @param tokens The ids of the tokens; at most 262 144.
   * @param options `model`, and `signal` to cancel.
   * @returns The text.
   * @throws {InvalidRequestError} If there is no such token, or the backend does not know its model's tokens.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function firstTokens(client: Client, text: string, count: number): Promise<string> {
   *   return await client.detokenize((await client.tokenize(text)).slice(0, count));
   * }
   * ```
   */
  detokenize(tokens: readonly number[], options?: TokenizerOptions): Promise<string>;

  /**
   * Turn each token into the bytes it stands for, in UTF-8. A character may lie across several tokens. Control tokens
   * are their names.
   *
   * @param tokens The ids of the tokens; at most 262 144.
   * @param options `model`, and `signal` to cancel.
   * @returns For each token its bytes.
   * @throws {InvalidRequestError} If there is no such token, or the backend does not know its model's tokens.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function longestToken(client: Client, text: string): Promise<number> {
   *   const pieces = await client.tokenBytes(await client.tokenize(text));
   *   return Math.max(...pieces.map(({ length }) => length));
   * }
   * ```
   */
  tokenBytes(tokens: readonly number[], options?: TokenizerOptions): Promise<readonly Uint8Array[]>;

  /**
   * Count the tokens of the prompt that a conversation becomes, its tools included. Nothing is generated.
   *
   * @param request A prompt, or a conversation.
   * @param options `model`, and `signal` to cancel.
   * @returns The number of tokens, as `usage.promptTokens` of an answer would say.
   * @throws {InvalidRequestError} If the conversation does not fit the context, or the backend does not know its
   * model's tokens.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {TypeError} If the request has no messages.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client, Message } from "@inferd/client";
   *
   * export async function fits(client: Client, messages: readonly Message[], most: number): Promise<boolean> {
   *   return await client.countTokens({ messages }) <= most;
   * }
   * ```
   */
  countTokens(request: string | PromptRequest, options?: TokenizerOptions): Promise<number>;

  /**
   * The prompt that the model's chat template makes of a conversation. Nothing is generated.
   *
   * @param request A prompt, or a conversation.
   * @param options `model`, and `signal` to cancel.
   * @returns The text of the prompt.
   * @throws {InvalidRequestError} If the template refuses the conversation, or the backend does not know it.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {TypeError} If the request has no messages.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function show(client: Client): Promise<void> {
   *   console.log(await client.applyTemplate({ messages: [{ role: "user", content: "Hi" }], thinking: true }));
   * }
   * ```
   */
  applyTemplate(request: string | PromptRequest, options?: TokenizerOptions): Promise<string>;
}
