/**
 * Models without weights: a chat template, and a vocabulary with a token for each byte and one for each marker, so that
 * prompts and answers can be made, cut and read without a model file.
 */
import type { AnswerModel } from "../../src/engine/answers.ts";
import type { ChatModel } from "../../src/engine/chat/chat.ts";
import { type SpecialToken, SpecialTokens, textOf } from "../../src/engine/chat/marker.ts";

/** What such a model is made of. */
export interface ModelParts {
  /** Absent where the file has none. */
  readonly template?: string | undefined;
  /** Named variants of the template. */
  readonly variants?: Readonly<Record<string, string>>;
  readonly metadata?: readonly (readonly [key: string, value: string])[];
  readonly bos?: string;
  readonly eos?: string;
  /** The vocabulary begins every text with its token for that. */
  readonly addsBos?: boolean;
  readonly spacePrefix?: boolean;
  /** Control tokens: text never becomes one of them unless they are asked for. */
  readonly control: readonly string[];
  /** Tokens that the vocabulary defines beside its text: text becomes one of them wherever it has the name. */
  readonly defined?: readonly string[];
  /** Which of them end an answer. */
  readonly ends: readonly string[];
}

/** A model that prompts can be made for, and answers read of. */
export type TestModel = ChatModel & AnswerModel;

/** The first token that is more than a byte. */
const FIRST_SPECIAL = 256;
const TEMPLATE = "tokenizer.chat_template";
const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Make a model. */
export function modelOf(parts: ModelParts): TestModel {
  const { template, variants = {}, metadata = [], bos, eos, control, defined = [], ends } = parts;
  const names = [...new Set([...control, ...defined])];
  const specialTokens = names.map((name, index): SpecialToken => ({
    token: FIRST_SPECIAL + index,
    name,
    control: control.includes(name),
  }));
  const specials = new SpecialTokens(specialTokens);
  const plain = new SpecialTokens(specialTokens.filter(({ control }) => !control));
  const tokenOf = (name: string | undefined): number => name === undefined ? -1 : specials.get(name)?.token ?? -1;
  const specialAt = (token: number): SpecialToken | undefined => specialTokens[token - FIRST_SPECIAL];
  const ending = new Set(ends.map(tokenOf));
  return {
    metadata: new Map([
      ...metadata,
      ...(template === undefined ? [] : [[TEMPLATE, template] as const]),
      ...Object.entries(variants).map(([name, source]) => [`${TEMPLATE}.${name}`, source] as const),
    ]),
    named: { BOS: tokenOf(bos), EOS: tokenOf(eos), NL: 10, EOT: -1, SEP: -1 },
    addsBos: parts.addsBos ?? false,
    spacePrefix: parts.spacePrefix ?? false,
    longestPiece: Math.max(1, ...names.map((name) => encoder.encode(name).length)),
    vocabularySize: FIRST_SPECIAL + names.length,
    specialTokens,
    tokenize(text, special): Int32Array {
      const tokens: number[] = [];
      const known = special ? specials : plain;
      for (let at = 0; at < text.length;) {
        const found = known.at(text, at);
        const char = found === undefined ? String.fromCodePoint(text.codePointAt(at) as number) : found.name;
        tokens.push(...(found === undefined ? encoder.encode(char) : [found.token]));
        at += char.length;
      }
      return Int32Array.from(tokens);
    },
    piece: (token) => {
      const special = specialAt(token);
      if (special === undefined) return Uint8Array.of(token);
      return special.control ? NO_BYTES : encoder.encode(special.name);
    },
    pieceText: (token) => {
      const special = specialAt(token);
      if (special === undefined) return token < 0x80 ? String.fromCharCode(token) : undefined;
      return special.control ? "" : special.name;
    },
    describe: (token) => specialAt(token)?.name ?? String.fromCharCode(token),
    isControl: (token) => specialAt(token)?.control === true,
    endsAnswer: (token) => ending.has(token),
  };
}

/** Tokens as text, those that are more than text set in «» so that they differ from text that spells their names. */
export function shown(model: Pick<ChatModel, "specialTokens">, tokens: Iterable<number>): string {
  let text = "";
  let bytes: number[] = [];
  const flush = (): void => {
    text += decoder.decode(Uint8Array.from(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const special = model.specialTokens[token - FIRST_SPECIAL];
    if (special === undefined) {
      bytes.push(token);
      continue;
    }
    flush();
    text += `«${special.name}»`;
  }
  flush();
  return text;
}

/** What a model writes, as a parser sees it: names of its tokens as tokens. */
export function asSeen(model: Pick<ChatModel, "specialTokens">, text: string): string {
  return textOf(new SpecialTokens(model.specialTokens).marker(text));
}
