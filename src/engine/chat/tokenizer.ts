/** Tokenizer and chat template requests other than generation; time-sliced, because texts may be long. */
import type { TokenizerAnswer, TokenizerRequest } from "../../inference/request.ts";
import { settled, type Work } from "../../work/work.ts";
import type { Model } from "../native/model.ts";
import type { Chat } from "./chat.ts";

export type TokenizerModel = Pick<
  Model,
  "tokenize" | "tokenizeWhole" | "tokenizeBeside" | "piece" | "describe" | "vocabularySize"
>;

/** Longer texts are tokenized off the decoding thread. */
const LONG_CHARACTERS = 4096;
/** Tokens detokenized per time slice. */
const PIECE_TOKENS = 1024;

const encoder = new TextEncoder();

/** The request is invalid; the message is for the caller. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}

export class Tokenizer {
  readonly #model: TokenizerModel;
  readonly #chat: Chat;

  constructor(model: TokenizerModel, chat: Chat) {
    this.#model = model;
    this.#chat = chat;
  }

  /**
   * @throws {TokenizerError} If a token is out of range.
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   */
  *answer(request: TokenizerRequest): Work<TokenizerAnswer> {
    switch (request.type) {
      case "tokenize":
        return { tokens: Array.from(yield* this.#tokenize(request)) };
      case "detokenize": {
        const pieces = yield* this.#pieces(request);
        return request.pieces ? { pieces: pieces.map((piece) => Array.from(piece)) } : { text: textOf(pieces) };
      }
      case "count":
        return { count: yield* this.#chat.count(request.conversation) };
      case "apply_template":
        return { text: (yield* this.#chat.textInPieces(request.conversation)).text };
    }
  }

  *#tokenize({ text, addSpecial, parseSpecial }: Extract<TokenizerRequest, { type: "tokenize" }>): Work<Int32Array> {
    if (text.length > LONG_CHARACTERS) {
      return yield* settled(this.#model.tokenizeBeside(text, parseSpecial, addSpecial));
    }
    return addSpecial ? this.#model.tokenizeWhole(text, parseSpecial) : this.#model.tokenize(text, parseSpecial);
  }

  /** Bytes of each token; a character may span tokens. Control tokens become their names. */
  *#pieces(
    { tokens, from = 0 }: Extract<TokenizerRequest, { type: "detokenize" }>,
  ): Work<readonly Uint8Array[]> {
    const { vocabularySize } = this.#model;
    const pieces: Uint8Array[] = [];
    for (const [index, token] of tokens.entries()) {
      if (token >= vocabularySize) {
        const name = `tokens[${from + index}]`;
        throw new TokenizerError(`"${name}" must be an integer from 0 to ${vocabularySize - 1}, got ${token}`);
      }
      const piece = this.#model.piece(token);
      pieces.push(piece.length > 0 ? piece : encoder.encode(this.#model.describe(token)));
      if ((index + 1) % PIECE_TOKENS === 0) yield;
    }
    return pieces;
  }
}

/** Characters may be made of several tokens. */
function textOf(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
}
