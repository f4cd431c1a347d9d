/** The rules of a grammar, as every reader makes them and `grammar.ts` follows them. */

/** The grammar cannot be used; the message is for the caller. */
export class GrammarError extends Error {
  override readonly name = "GrammarError";
}

/** Code points from and to, both inclusive, flat and in pairs. */
export type CharSet = readonly number[];

/** A character, a rule by its number, or exactly this token, which need not be text. */
export type GrammarSymbol = { readonly chars: CharSet } | { readonly rule: number } | { readonly token: number };

/** What a rule may be: each alternative is its symbols. */
export type Alternatives = readonly (readonly GrammarSymbol[])[];

/**
 * A rule that is written out only where a text comes to it. Its alternatives may name rules that are added with them,
 * and none of them begins with the rule itself, directly or through others.
 */
export interface LazyRule {
  readonly expand: () => Alternatives;
  readonly bound?: Bound;
}

/** A rule for texts of a bounded length. */
export interface Bound {
  /** As long as no more characters than this have come, the bound makes no difference. */
  readonly most: number;
  /** Whether the texts are all of that length and shorter. */
  readonly isAny: boolean;
  /** The same rule without the bound. */
  readonly endless: () => number;
}

/** Rules by number. */
export interface Rules {
  readonly root: number;
  /** Grows when lazy rules are written out. */
  readonly rules: readonly (Alternatives | LazyRule)[];
  /** Counts what is done to write lazy rules out. */
  readonly writing?: { readonly work: number };
}

/** Whether a rule has to be written out. */
export function isLazy(rule: Alternatives | LazyRule): rule is LazyRule {
  return "expand" in rule;
}

/** The last character there is. */
export const MAX_CODE_POINT = 0x10ffff;
/** Symbols of all rules, with repetitions written out. */
export const MAX_SYMBOLS = 100_000;
