/**
 * Tokenizes a rendered prompt. Template text is tokenized as llama.cpp does. Request text never becomes a control token
 * or a token that the template uses as a marker: such a name is split in two, and both halves stay text.
 */
import type { Rendered } from "../../jinja/template.ts";
import type { SpecialToken, SpecialTokens } from "../dialect/marker.ts";
import { settled, type Work } from "../../../work/work.ts";
import { boundaryFrom } from "./token_boundaries.ts";

export interface TokenizingModel {
  readonly named: { readonly BOS: number };
  readonly addsBos: boolean;
  readonly spacePrefix: boolean;
  tokenize(text: string, special: boolean): Int32Array;
  /** Tokenizes on another thread; without it, everything runs on the caller's. */
  readonly tokenizeBeside?: (text: string, special: boolean) => Promise<Int32Array>;
  /** Of the vocabulary; without them, template text is tokenized as a whole. */
  readonly specialTokens?: readonly SpecialToken[];
}

/**
 * Longer texts take tens of milliseconds and are tokenized off the decoding thread. What that thread has done is known
 * only when a step has ended.
 */
const LONG_CHARACTERS = 16_384;
/** Characters of short texts tokenized per time slice. */
const PIECE_CHARACTERS = 1024;
/** Characters after which template text is cut at the next control token. */
const PORTION_CHARACTERS = 4096;
/** Characters searched for names of tokens per time slice. */
const SEARCHED_CHARACTERS = 16_384;

interface Tokenizing {
  readonly model: TokenizingModel;
  readonly guarded: SpecialTokens;
}

/** @param options.guarded Tokens that request text must not produce. */
export function* promptTokens({ text, input }: Rendered, options: Tokenizing): Work<Int32Array> {
  const { model, guarded } = options;
  const cuts = yield* cutsOf(text, input, guarded);
  const parts: Int32Array[] = [];
  let done = 0;
  for (let i = 0; i <= cuts.length; i++) {
    const piece = text.slice(cuts[i - 1] ?? 0, cuts[i] ?? text.length);
    const found = i > 0 && model.spacePrefix ? yield* continued(piece, options) : yield* templateTokens(piece, options);
    parts.push(found);
    if ((done += piece.length) < PIECE_CHARACTERS) continue;
    done = 0;
    yield;
  }
  const { BOS } = model.named;
  const tokens = joined(parts);
  if (!model.addsBos || BOS < 0) return tokens;
  if (tokens[0] !== BOS) return joined([Int32Array.of(BOS), tokens]);
  return tokens[1] === BOS ? tokens.subarray(1) : tokens;
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Tokens of a prompt that is used as it is: of texts like template text, and token ids. */
export function* verbatimTokens(
  parts: readonly (string | number)[],
  options: Tokenizing,
): Work<Int32Array> {
  const tokens: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (typeof part === "number") {
      tokens.push(part);
      continue;
    }
    // As in llama-server, only a prompt that begins with a text begins with BOS.
    const found = index === 0
      ? yield* promptTokens({ text: part, input: [] }, options)
      : yield* templateTokens(part, options);
    for (const token of found) tokens.push(token);
    yield;
  }
  return Int32Array.from(tokens);
}

/** Offsets that split the names of guarded tokens: after their first character. */
function* cutsOf(text: string, input: readonly number[], guarded: SpecialTokens): Work<number[]> {
  const cuts: number[] = [];
  let range = 0;
  for (let from = 0; from < text.length && range < input.length; from += SEARCHED_CHARACTERS) {
    if (from > 0) yield;
    for (const { at, special } of guarded.occurrences(text, from, Math.min(from + SEARCHED_CHARACTERS, text.length))) {
      while (range < input.length && (input[range + 1] as number) <= at) range += 2;
      if (range >= input.length) break;
      const end = at + special.name.length;
      if ((input[range] as number) >= end || special.name.length < 2) continue;
      if (cuts.at(-1) !== at + 1) cuts.push(at + 1);
    }
  }
  return cuts;
}

/** Tokens of a text in which names of control tokens stand for these, in portions that have the tokens of the whole. */
function* templateTokens(text: string, { model, guarded }: Tokenizing): Work<Int32Array> {
  const { specialTokens } = model;
  const parts: Int32Array[] = [];
  let begun = 0;
  while (specialTokens !== undefined && text.length - begun > PORTION_CHARACTERS) {
    const end = yield* boundaryFrom(text, begun + PORTION_CHARACTERS, { guarded, specialTokens });
    parts.push(yield* tokensOf(model, text.slice(begun, end)));
    begun = end;
    yield;
  }
  if (parts.length === 0) return yield* tokensOf(model, text);
  if (begun < text.length) parts.push(yield* tokensOf(model, text.slice(begun)));
  return joined(parts);
}

/** Tokens of a text, in which names of control tokens stand for these unless `special` is false. */
export function* tokensOf(model: TokenizingModel, text: string, special = true): Work<Int32Array> {
  if (text.length <= LONG_CHARACTERS || model.tokenizeBeside === undefined) return model.tokenize(text, special);
  return yield* settled(model.tokenizeBeside(text, special));
}

/** Vocabularies with a space prefix add a space before every text; a preceding line break absorbs it. */
function* continued(text: string, options: Tokenizing): Work<Int32Array> {
  const { model } = options;
  const before = model.tokenize("\n", true);
  const tokens = yield* templateTokens("\n" + text, options);
  if (before.every((token, i) => tokens[i] === token)) return tokens.slice(before.length);
  return yield* templateTokens(text, options);
}
