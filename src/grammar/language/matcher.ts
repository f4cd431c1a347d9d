/**
 * Regular expressions from untrusted sources, matched in linear time without backtracking, which could take exponential
 * time.
 */
import { contains } from "./chars.ts";
import { type Language, LanguageError, Languages } from "./language.ts";
import { languageOf, widerLanguageOf } from "./pattern.ts";

/** Returns whether a text matches. */
export type Matcher = (text: string) => boolean;

/**
 * A matcher for a pattern.
 *
 * @param pattern A regular expression as in JSON Schema, not anchored.
 * @returns `undefined` where the pattern is not regular, or too complex to be followed.
 */
export function matcherOf(pattern: string): Matcher | undefined {
  return made(pattern, languageOf);
}

/**
 * A matcher that takes what repeats a group (`\1`) for any text: whether it is the same cannot be told in linear time.
 * What it refuses does not match.
 *
 * @returns `undefined` where the pattern is not regular otherwise, or too complex to be followed.
 */
export function widerMatcherOf(pattern: string): Matcher | undefined {
  return made(pattern, widerLanguageOf);
}

function made(pattern: string, languageOf: (pattern: string, languages: Languages) => Language): Matcher | undefined {
  const languages = new Languages();
  let language: Language;
  try {
    language = languageOf(pattern, languages);
  } catch (error) {
    if (error instanceof LanguageError) return undefined;
    throw error;
  }
  return (text) => {
    try {
      let at = language;
      for (const character of text) {
        const code = character.codePointAt(0) ?? 0;
        const move = languages.moves(at).find(({ chars }) => contains(chars, code));
        if (move === undefined) return false;
        at = move.to;
      }
      return at.nullable;
    } catch (error) {
      // Too complex for this text: undecided.
      if (error instanceof LanguageError) return true;
      throw error;
    }
  };
}
