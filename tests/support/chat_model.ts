/**
 * Models without weights: a chat template, and a vocabulary with a token for each byte and one for each marker, so that
 * prompts and answers can be made, cut and read without a model file.
 */
import type { AnswerModel } from "../../src/engine/generate/answers.ts";
import type { ChatModel } from "../../src/engine/chat/chat_format.ts";
import type { SpecialToken } from "../../src/engine/native/model.ts";
import { SpecialTokens, textOf } from "../../src/engine/chat/dialect/marker.ts";

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
  /** Texts that are one token; the longest that fits is taken. */
  readonly texts?: readonly string[];
}

/** A model that prompts can be made for, and answers read of. */
export type TestModel = ChatModel & AnswerModel;

/** The first token that is not a byte. */
const FIRST_SPECIAL = 256;
const TEMPLATE = "tokenizer.chat_template";
const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Make a model. */
export function modelOf(parts: ModelParts): TestModel {
  const { template, variants = {}, metadata = [], bos, eos, control, defined = [], ends, texts = [] } = parts;
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
  const firstText = FIRST_SPECIAL + names.length;
  const longest = [...new Set(texts)].sort((a, b) => b.length - a.length);
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
    vocabularySize: firstText + longest.length,
    specialTokens,
    tokenize(text, special): Int32Array {
      const tokens: number[] = [];
      const known = special ? specials : plain;
      // Markers come first.
      const reachesInto = (text: string, from: number, length: number): boolean => {
        for (let at = from + 1; at < from + length; at++) if (known.at(text, at) !== undefined) return true;
        return false;
      };
      for (let at = 0; at < text.length;) {
        const found = known.at(text, at);
        if (found !== undefined) {
          tokens.push(found.token);
          at += found.name.length;
          continue;
        }
        const index = longest.findIndex((one) => text.startsWith(one, at) && !reachesInto(text, at, one.length));
        const char = index < 0 ? String.fromCodePoint(text.codePointAt(at) as number) : longest[index] as string;
        tokens.push(...(index < 0 ? encoder.encode(char) : [firstText + index]));
        at += char.length;
      }
      return Int32Array.from(tokens);
    },
    piece: (token) => {
      const special = specialAt(token);
      if (token >= firstText) return encoder.encode(longest[token - firstText]);
      if (special === undefined) return Uint8Array.of(token);
      return special.control ? NO_BYTES : encoder.encode(special.name);
    },
    pieceText: (token) => {
      const special = specialAt(token);
      if (token >= firstText) return longest[token - firstText];
      if (special === undefined) return token < 0x80 ? String.fromCharCode(token) : undefined;
      return special.control ? "" : special.name;
    },
    describe: (token) => specialAt(token)?.name ?? longest[token - firstText] ?? String.fromCharCode(token),
    isControl: (token) => specialAt(token)?.control === true,
    endsAnswer: (token) => ending.has(token),
  };
}

/** Tokens as text, those that are more than text set in «» so that they differ from text that spells their names. */
export function shown(model: Pick<TestModel, "specialTokens" | "piece">, tokens: Iterable<number>): string {
  const bytes = Array.from(tokens).flatMap((token) => {
    const special = model.specialTokens[token - FIRST_SPECIAL];
    return [...special === undefined ? model.piece(token) : encoder.encode(`«${special.name}»`)];
  });
  return decoder.decode(Uint8Array.from(bytes));
}

/** What a model writes, as a parser sees it: names of its tokens as tokens. */
export function asSeen(model: Pick<ChatModel, "specialTokens">, text: string): string {
  return textOf(new SpecialTokens(model.specialTokens).marker(text));
}
