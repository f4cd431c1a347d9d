/** Upper and lower case, and kinds of characters, as Python's `str` has them. */
import { changed, SPACE, type Str } from "../values/text.ts";

const SPACES = new RegExp(`^[${SPACE}]+$`);
const CASED = /[\p{Lu}\p{Ll}\p{Lt}]/u;

/** The first letter of each run of letters in upper case, the others in lower case. */
export function titleCase(text: Str): Str {
  return changed(text, (raw) => {
    let result = "";
    let within = false;
    for (const char of raw) {
      result += within ? char.toLowerCase() : char.toUpperCase();
      within = CASED.test(char);
    }
    return result;
  });
}

/** The first character in upper case, the others in lower case. */
export function capitalize(text: Str): Str {
  return changed(text, (raw) => {
    const [first = ""] = raw;
    return first.toUpperCase() + raw.slice(first.length).toLowerCase();
  });
}

/** As {@linkcode capitalize}, for each word of a text. */
export function capitalizeWords(text: Str): Str {
  return changed(text, (raw) =>
    raw.split(/([-\s({\[<]+)/).map((word) => {
      const [first = ""] = word;
      return first.toUpperCase() + word.slice(first.length).toLowerCase();
    }).join(""));
}

/** Upper case for lower case and the other way around. */
export function swapCase(text: Str): Str {
  return changed(
    text,
    (raw) => raw.replace(/[^]/gu, (char) => /\p{Lu}/u.test(char) ? char.toLowerCase() : char.toUpperCase()),
  );
}

/** What each `is…` method of a string asks. */
export const KINDS = {
  isalnum: (raw: string): boolean => /^[\p{L}\p{N}]+$/u.test(raw),
  isalpha: (raw: string): boolean => /^\p{L}+$/u.test(raw),
  isascii: (raw: string): boolean => /^[\0-\x7f]*$/.test(raw),
  isdecimal: (raw: string): boolean => /^\p{Nd}+$/u.test(raw),
  isdigit: (raw: string): boolean =>
    /^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468]+$/u.test(raw),
  isidentifier: (raw: string): boolean => /^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(raw),
  islower: (raw: string): boolean => /\p{Ll}/u.test(raw) && !/[\p{Lu}\p{Lt}]/u.test(raw),
  isnumeric: (raw: string): boolean => /^\p{N}+$/u.test(raw),
  isprintable: (raw: string): boolean => !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(raw),
  isspace: (raw: string): boolean => SPACES.test(raw),
  istitle: (raw: string): boolean => CASED.test(raw) && titleCase(raw) === raw,
  isupper: (raw: string): boolean => /\p{Lu}/u.test(raw) && !/[\p{Ll}\p{Lt}]/u.test(raw),
};
