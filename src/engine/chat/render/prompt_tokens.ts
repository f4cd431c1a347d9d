/**
 * From a rendered prompt to tokens. What the template wrote becomes tokens as llama.cpp makes them; what a request
 * brought never becomes a control token, nor a token that the template uses as a marker: its name is cut in two where it
 * stands in such a text, and both halves stay text.
 */
import type { Rendered } from "../../jinja/template.ts";
import type { SpecialTokens } from "../dialect/marker.ts";
import { settled, type Work } from "../../../work/work.ts";

/** What this needs of a model. */
export interface TokenizingModel {
  readonly named: { readonly BOS: number };
  readonly addsBos: boolean;
  readonly spacePrefix: boolean;
  tokenize(text: string, special: boolean): Int32Array;
  /** The same on a thread that is not the caller's; absent: all is done on the caller's. */
  readonly tokenizeBeside?: (text: string, special: boolean) => Promise<Int32Array>;
}

/** A longer text is not made tokens on the thread that decodes: it takes more than some milliseconds. */
const LONG_CHARACTERS = 4096;
/** What of short ones is made tokens in a piece of work. */
const PIECE_CHARACTERS = 1024;

/**
 * Make a prompt tokens.
 *
 * @param rendered The prompt, and what of it came from the request.
 * @param options.guarded What must not come of a request's text.
 */
export function* promptTokens(
  { text, input }: Rendered,
  { model, guarded }: { readonly model: TokenizingModel; readonly guarded: SpecialTokens },
): Work<Int32Array> {
  const cuts = cutsOf(text, input, guarded);
  const tokens: number[] = [];
  let done = 0;
  for (let i = 0; i <= cuts.length; i++) {
    const piece = text.slice(cuts[i - 1] ?? 0, cuts[i] ?? text.length);
    const found = i > 0 && model.spacePrefix ? yield* continued(model, piece) : yield* tokensOf(model, piece);
    for (const token of found) tokens.push(token);
    if ((done += piece.length) < PIECE_CHARACTERS) continue;
    done = 0;
    yield;
  }
  const { BOS } = model.named;
  if (model.addsBos && BOS >= 0) {
    if (tokens[0] !== BOS) tokens.unshift(BOS);
    else if (tokens[1] === BOS) tokens.shift();
  }
  return Int32Array.from(tokens);
}

/** Where names of guarded tokens are cut: after their first character. */
function cutsOf(text: string, input: readonly number[], guarded: SpecialTokens): number[] {
  if (input.length === 0) return [];
  const cuts: number[] = [];
  let range = 0;
  for (const { at, special } of guarded.occurrences(text)) {
    while (range < input.length && (input[range + 1] as number) <= at) range += 2;
    if (range >= input.length) break;
    const end = at + special.name.length;
    if ((input[range] as number) >= end || special.name.length < 2) continue;
    if (cuts.at(-1) !== at + 1) cuts.push(at + 1);
  }
  return cuts;
}

function* tokensOf(model: TokenizingModel, text: string): Work<Int32Array> {
  if (text.length <= LONG_CHARACTERS || model.tokenizeBeside === undefined) return model.tokenize(text, true);
  return yield* settled(model.tokenizeBeside(text, true));
}

/** Such a vocabulary puts a space before every text; after a line break it does not show. */
function* continued(model: TokenizingModel, text: string): Work<Int32Array> {
  const before = model.tokenize("\n", true);
  const tokens = yield* tokensOf(model, "\n" + text);
  if (before.every((token, i) => tokens[i] === token)) return tokens.slice(before.length);
  return yield* tokensOf(model, text);
}
