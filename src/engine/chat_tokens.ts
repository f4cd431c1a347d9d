/**
 * What node-llama-cpp knows as a tokenizer, on our model, and the tokens of a template's markers. What users wrote never
 * becomes a control token, nor a token that only the template may write.
 */
import type { LlamaText, Token, Tokenizer } from "node-llama-cpp";
import type { MarkerPart, MarkerReader } from "./dialect.ts";
import type { Model } from "./model.ts";
import { controlText } from "./text.ts";

/** What a chat needs of a model. */
export type ChatModel = Pick<
  Model,
  | "metadata"
  | "named"
  | "addsBos"
  | "spacePrefix"
  | "longestPiece"
  | "tokenize"
  | "piece"
  | "describe"
  | "isControl"
  | "endsAnswer"
>;

/** How the name of a token looks that is written as one. */
const TAG = /^[<[].+[>\]]$/s;

const decoder = new TextDecoder();

/** The tokens of a chat. */
export class ChatTokens {
  readonly #model: ChatModel;
  readonly #controls = new Map<number, string>();
  /** What becomes a token although it is not control, by its text. */
  readonly #tags = new Set<string>();
  readonly tokenizer: Tokenizer;

  constructor(model: ChatModel) {
    this.#model = model;
    this.tokenizer = this.#makeTokenizer();
  }

  /** Control tokens that are part of markers, as the parser sees them. */
  get controls(): ReadonlyMap<number, string> {
    return this.#controls;
  }

  /**
   * Reads markers.
   *
   * @param toText Makes a template's text of anything that may be one.
   * @param ends Which tokens end the answer.
   */
  markerReader(toText: (value: string | LlamaText) => LlamaText, ends: (token: number) => boolean): MarkerReader {
    return (value) => {
      const parts: MarkerPart[] = [];
      for (const item of toText(value).values) {
        if (typeof item === "string") {
          addText(parts, item);
          continue;
        }
        let bytes: number[] = [];
        const addBytes = (): void => {
          if (bytes.length > 0) addText(parts, decoder.decode(Uint8Array.from(bytes)));
          bytes = [];
        };
        for (const token of item.tokenize(this.tokenizer, true)) {
          const text = ends(token) ? undefined : this.see(token);
          if (text === undefined && !ends(token)) {
            bytes.push(...this.#model.piece(token));
            continue;
          }
          addBytes();
          if (text === undefined) return parts;
          parts.push({ token, text });
        }
        addBytes();
      }
      return parts;
    };
  }

  /** A token that is more than text: remember it, and tell how the parser sees it. */
  see(token: number): string | undefined {
    const name = this.#model.describe(token);
    if (this.#model.isControl(token)) {
      const text = controlText(name);
      this.#controls.set(token, text);
      return text;
    }
    if (!TAG.test(name)) return undefined;
    this.#tags.add(name);
    return name;
  }

  /** The token that has this name and no other, if there is one. */
  named(name: string): number | undefined {
    const tokens = this.#model.tokenize(name, true);
    return tokens.length === 1 ? tokens[0] : undefined;
  }

  #makeTokenizer(): Tokenizer {
    const model = this.#model;
    const bos = wantsBos(model);
    const tokenize = (text: string, special?: boolean | "builtin", option?: "trimLeadingSpace"): number[] => {
      if (special === "builtin") {
        const token = model.named[text as keyof typeof model.named];
        return token < 0 || text === "BOS" && !bos ? [] : [token];
      }
      const trims = option === "trimLeadingSpace" && model.spacePrefix;
      if (special === true) return Array.from(trims ? withoutSpace(model, text, true) : model.tokenize(text, true));
      return this.#split(text).flatMap((piece, index) =>
        Array.from(
          trims || index > 0 && model.spacePrefix ? withoutSpace(model, piece, false) : model.tokenize(piece, false),
        )
      );
    };
    return Object.assign(tokenize, {
      detokenize: (tokens: readonly Token[], special = false): string =>
        tokens.map((token) => special ? model.describe(token) : decoder.decode(model.piece(token))).join(""),
      isSpecialToken: (token: Token): boolean => model.isControl(token),
      isEogToken: (token: Token): boolean => model.endsAnswer(token),
    }) as unknown as Tokenizer;
  }

  /** Cut a text within each tag in it, so that no piece has a whole one. */
  #split(text: string): string[] {
    const cuts: number[] = [];
    for (const tag of this.#tags) {
      for (let at = text.indexOf(tag); at >= 0; at = text.indexOf(tag, at + 1)) cuts.push(at + 1);
    }
    if (cuts.length === 0) return [text];
    cuts.sort((a, b) => a - b);
    return [0, ...cuts].map((from, index) => text.slice(from, cuts[index]));
  }
}

function addText(parts: MarkerPart[], text: string): void {
  const last = parts.at(-1);
  if (typeof last === "string") parts[parts.length - 1] = last + text;
  else parts.push(text);
}

/** Some wrappers begin every prompt with this token, also where neither the model nor its template does. */
function wantsBos(model: ChatModel): boolean {
  const { addsBos, metadata, named } = model;
  const template = metadata.get("tokenizer.chat_template") ?? "";
  return addsBos || template.includes("bos_token") || (named.BOS >= 0 && template.includes(model.describe(named.BOS)));
}

/** Such a vocabulary puts a space before every text; after a line break it does not show. */
function withoutSpace(model: ChatModel, text: string, special: boolean): Int32Array {
  const before = model.tokenize("\n", special);
  const tokens = model.tokenize("\n" + text, special);
  return before.every((token, i) => tokens[i] === token) ? tokens.slice(before.length) : model.tokenize(text, special);
}
