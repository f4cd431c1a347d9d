/** What is asked of a model's tokenizer and chat template beside generation. */
import type { TokenizerAnswer, TokenizerRequest } from "../../inference/request.ts";
import type { Model } from "../native/model.ts";
import type { Chat } from "./chat.ts";

/** What this needs of a model. */
export type TokenizerModel = Pick<Model, "tokenize" | "tokenizeWhole" | "piece" | "describe" | "vocabularySize">;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** It cannot be answered; the message is for the caller. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}

/** Answers for one model. */
export class Tokenizer {
  readonly #model: TokenizerModel;
  readonly #chat: Chat;

  constructor(model: TokenizerModel, chat: Chat) {
    this.#model = model;
    this.#chat = chat;
  }

  /**
   * Answer a request.
   *
   * @throws {TokenizerError} If there is no such token.
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   */
  answer(request: TokenizerRequest): TokenizerAnswer {
    switch (request.type) {
      case "tokenize":
        return { tokens: this.#tokenize(request) };
      case "detokenize":
        return { text: this.#detokenize(request.tokens) };
      case "count":
        return { count: this.#chat.render(request.conversation).tokens.length };
      case "apply_template":
        return { text: this.#chat.text(request.conversation).text };
    }
  }
  #tokenize({ text, addSpecial, parseSpecial }: Extract<TokenizerRequest, { type: "tokenize" }>): number[] {
    return [
      ...addSpecial ? this.#model.tokenizeWhole(text, parseSpecial) : this.#model.tokenize(text, parseSpecial),
    ];
  }

  /** Characters may be made of several tokens, so their bytes are joined first. Control tokens are their names. */
  #detokenize(tokens: readonly number[]): string {
    const { vocabularySize } = this.#model;
    const pieces = tokens.map((token, index) => {
      if (token >= vocabularySize) {
        throw new TokenizerError(`"tokens[${index}]" must be an integer from 0 to ${vocabularySize - 1}, got ${token}`);
      }
      const piece = this.#model.piece(token);
      return piece.length > 0 ? piece : encoder.encode(this.#model.describe(token));
    });
    const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return decoder.decode(bytes);
  }
}
