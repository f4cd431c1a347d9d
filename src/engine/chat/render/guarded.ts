/** Special tokens that must never be produced from a request's text. */
import { type SpecialToken, SpecialTokens } from "../dialect/marker.ts";

/** Names that are markers in some family, even if this model's template does not use them. */
const MARKER = /think|tool|turn|role|user|assistant|system|channel|message|arg_|\|/i;

/**
 * All control tokens, plus user-defined tokens that act as markers: those in the template, or with a telling name.
 * Other user-defined tokens (whitespace runs, Gemma's HTML tags, …) are ordinary text.
 */
export function guardedTokens(all: readonly SpecialToken[], source: string): SpecialTokens {
  return new SpecialTokens(
    all.filter(({ name, control }) => control || name.trim() !== "" && (source.includes(name) || MARKER.test(name))),
  );
}
