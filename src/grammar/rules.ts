/** The rules of a grammar: what all builders produce and `grammar.ts` matches. */

/** An unusable grammar; the message is meant for the caller. */
export class GrammarError extends Error {
  override readonly name = "GrammarError";
}

/** Code points from and to, both inclusive, flat and in pairs. */
export type CharSet = readonly number[];

/** A character, a rule by its number, or exactly this token, which need not be text. */
export type GrammarSymbol = { readonly chars: CharSet } | { readonly rule: number } | { readonly token: number };

/** The alternatives of a rule: lists of symbols. */
export type Alternatives = readonly (readonly GrammarSymbol[])[];

/**
 * A rule that is written out only where a text comes to it. Its alternatives may name rules that are added with them,
 * and none of them begins with the rule itself, directly or through others.
 */
export interface LazyRule {
  readonly expand: () => Alternatives;
  readonly bound?: Bound;
}

/** A rule for texts of bounded length. */
export interface Bound {
  /** Up to this many characters, the bound has no effect. */
  readonly most: number;
  /** Whether it allows all lengths up to the bound. */
  readonly isAny: boolean;
  /** The same rule without the bound. */
  readonly endless: () => number;
}

/** Rules by number. */
export interface Rules {
  readonly root: number;
  /** Grows as lazy rules are expanded. */
  readonly rules: readonly (Alternatives | LazyRule)[];
  /** Work done to expand lazy rules. */
  readonly writing?: { readonly work: number };
}

/** Whether a rule is lazy. */
export function isLazy(rule: Alternatives | LazyRule): rule is LazyRule {
  return "expand" in rule;
}

/** The largest code point. */
export const MAX_CODE_POINT = 0x10ffff;
/** Maximum symbols of all rules, with repetitions expanded. */
export const MAX_SYMBOLS = 100_000;
