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
/** Tokens of an answer that are written at once: it is written between two steps. */
const PART_TOKENS = 4096;
/** Tokens detokenized per time slice. */
const PIECE_TOKENS = 1024;

const encoder = new TextEncoder();

/** The request is invalid; the message is for the caller. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}

/** An answer, or its next part. */
export interface AnswerPart {
  readonly answer: TokenizerAnswer;
  /** How many tokens `more` has; absent: none. */
  readonly left?: number;
}

export class Tokenizer {
  readonly #model: TokenizerModel;
  readonly #chat: Chat;
  /** What is left of long answers, by the request's id. */
  readonly #left = new Map<number, Int32Array>();

  constructor(model: TokenizerModel, chat: Chat) {
    this.#model = model;
    this.#chat = chat;
  }

  /**
   * @param id Asks for more of the answer, where that is long.
   * @throws {TokenizerError} If a token is out of range.
   * @throws {PromptError} If the model cannot take the conversation.
   * @throws {AttachmentError} If there is an attachment.
   */
  *answer(id: number, request: TokenizerRequest): Work<AnswerPart> {
    if (request.type === "tokenize") return this.#part(id, yield* this.#tokenize(request));
    return { answer: yield* this.#whole(request) };
  }

  /**
   * The next part of an answer.
   *
   * @throws {TokenizerError} If nothing is left of it.
   */
  more(id: number): AnswerPart {
    const left = this.#left.get(id);
    if (left === undefined) throw new TokenizerError("Nothing is left of this answer");
    return this.#part(id, left);
  }

  /** The rest of an answer is not wanted. */
  forget(id: number): void {
    this.#left.delete(id);
  }

  #part(id: number, tokens: Int32Array): AnswerPart {
    const answer = { tokens: Array.from(tokens.subarray(0, PART_TOKENS)) };
    const left = tokens.subarray(PART_TOKENS);
    if (left.length === 0) {
      this.#left.delete(id);
      return { answer };
    }
    this.#left.set(id, left);
    return { answer, left: left.length };
  }

  *#whole(request: Exclude<TokenizerRequest, { type: "tokenize" }>): Work<TokenizerAnswer> {
    switch (request.type) {
      case "detokenize": {
        const pieces = yield* this.#pieces(request);
        return request.pieces ? { pieces: yield* inNumbers(pieces) } : { text: textOf(pieces) };
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

/** The bytes of each piece, without an iterator, which takes several times as long. */
function* inNumbers(pieces: readonly Uint8Array[]): Work<readonly (readonly number[])[]> {
  const all: number[][] = [];
  for (const piece of pieces) {
    const bytes: number[] = [];
    for (let at = 0; at < piece.length; at++) bytes.push(piece[at] as number);
    all.push(bytes);
    if (all.length % PIECE_TOKENS === 0) yield;
  }
  return all;
}

/** Characters may be made of several tokens. */
function textOf(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
}
