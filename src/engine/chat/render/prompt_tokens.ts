/**
 * From a rendered prompt to tokens. What the template wrote becomes tokens as llama.cpp makes them; what a request
 * brought never becomes a control token, nor a token that the template uses as a marker: its name is cut in two where it
 * stands in such a text, and both halves stay text.
 */
import type { Rendered } from "../../jinja/template.ts";
import type { SpecialTokens } from "../dialect/marker.ts";

/** What this needs of a model. */
export interface TokenizingModel {
  readonly named: { readonly BOS: number };
  readonly addsBos: boolean;
  readonly spacePrefix: boolean;
  tokenize(text: string, special: boolean): Int32Array;
}

/**
 * Make a prompt tokens.
 *
 * @param rendered The prompt, and what of it came from the request.
 * @param options.guarded What must not come of a request's text.
 */
export function promptTokens(
  { text, input }: Rendered,
  { model, guarded }: { readonly model: TokenizingModel; readonly guarded: SpecialTokens },
): Int32Array {
  const cuts = cutsOf(text, input, guarded);
  const tokens: number[] = [];
  for (let i = 0; i <= cuts.length; i++) {
    const piece = text.slice(cuts[i - 1] ?? 0, cuts[i] ?? text.length);
    for (const token of i > 0 && model.spacePrefix ? continued(model, piece) : model.tokenize(piece, true)) {
      tokens.push(token);
    }
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

/** Such a vocabulary puts a space before every text; after a line break it does not show. */
function continued(model: TokenizingModel, text: string): Int32Array {
  const before = model.tokenize("\n", true);
  const tokens = model.tokenize("\n" + text, true);
  return before.every((token, i) => tokens[i] === token) ? tokens.slice(before.length) : model.tokenize(text, true);
}
