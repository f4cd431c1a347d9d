/** The tokens that a request's text must never become. */
import { type SpecialToken, SpecialTokens } from "../dialect/marker.ts";

/** Names that are markers in any family, also where this model's template does not write them. */
const MARKER = /think|tool|turn|role|user|assistant|system|channel|message|arg_|\|/i;

/**
 * All control tokens, and of the tokens that a vocabulary defines beside its text those that mark something: that the
 * template writes, or whose names say so. The others (spaces, HTML tags of Gemma, …) are how text is read.
 *
 * @param all The tokens of a vocabulary that are more than text.
 * @param source The model's chat templates.
 */
export function guardedTokens(all: readonly SpecialToken[], source: string): SpecialTokens {
  return new SpecialTokens(
    all.filter(({ name, control }) => control || name.trim() !== "" && (source.includes(name) || MARKER.test(name))),
  );
}
