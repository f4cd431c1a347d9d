/**
 * Where a long text can be cut so that its parts have the tokens of the whole: before names of control tokens.
 *
 * llama.cpp first looks for the names of all special tokens, the longest first, and tokenizes what is between them on its
 * own. For each piece between two names it searches the rest of the text, so that a long conversation takes it seconds
 * where its parts take milliseconds.
 */
import type { Work } from "../../../work/work.ts";
import { type SpecialToken, SpecialTokens } from "../dialect/marker.ts";

/** Characters searched per time slice. */
const SEARCHED_CHARACTERS = 16_384;

/** The special tokens of each vocabulary, to be found in texts. */
const known = new WeakMap<readonly SpecialToken[], Specials>();

interface Specials {
  readonly all: SpecialTokens;
  readonly longest: number;
}

/**
 * The first place at or after `from` where the text can be cut; its end if there is none.
 *
 * @param options.guarded Where it may be cut: at control tokens of these.
 * @param options.specialTokens All of the vocabulary.
 */
export function* boundaryFrom(
  text: string,
  from: number,
  { guarded, specialTokens }: { readonly guarded: SpecialTokens; readonly specialTokens: readonly SpecialToken[] },
): Work<number> {
  const specials = specialsOf(specialTokens);
  for (let start = from; start < text.length; start += SEARCHED_CHARACTERS) {
    if (start > from) yield;
    for (
      const { at, special } of guarded.occurrences(text, start, Math.min(start + SEARCHED_CHARACTERS, text.length))
    ) {
      if (isBoundary(text, { at, special }, specials)) return at;
    }
  }
  return text.length;
}

function isBoundary(
  text: string,
  { at, special: { name, control } }: { readonly at: number; readonly special: SpecialToken },
  { all, longest }: Specials,
): boolean {
  // Some tokens take the white space before them away. The token for what is unknown, usually `<unk>`, is not listed.
  if (!control || at === 0 || /\s/.test(text.charAt(at - 1)) || name.lastIndexOf("<") !== 0) return false;
  const end = at + name.length;
  for (const other of all.occurrences(text, Math.max(0, at - longest + 1), end)) {
    const otherEnd = other.at + other.special.name.length;
    if (other.at < at ? otherEnd > at : otherEnd > end) return false;
  }
  return true;
}

function specialsOf(specialTokens: readonly SpecialToken[]): Specials {
  const found = known.get(specialTokens);
  if (found !== undefined) return found;
  const longest = specialTokens.reduce((most, { name }) => Math.max(most, name.length), 0);
  const specials = { all: new SpecialTokens(specialTokens), longest };
  known.set(specialTokens, specials);
  return specials;
}
