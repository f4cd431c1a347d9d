/**
 * Removes secrets from log records. Works on values before serialisation, so that records stay valid JSON. Owns the
 * patterns, not what is logged.
 *
 * The text is untrusted: no pattern rescans the same characters from every possible start, so the cost is linear.
 */

import { spellControls } from "./controls.ts";

const SECRET_NAMES = "password|passwd|pwd|api[_ -]?key|secret|token";

/** Keys that name a secret, also as a suffix: `client_secret`, `accessToken`. */
const SECRET_KEY = new RegExp(`(?:${SECRET_NAMES}|authorization)$`, "i");

/** Longer texts are neither searched nor logged, in UTF-16 units. */
const MOST_SEARCHED = 4 * 1024 * 1024;
/** Maximum logged length of a text, in UTF-16 units. */
const MOST_SHOWN = 16 * 1024;

/** Whitespace, also escaped; the letter ends the backslashes, so that matching is unambiguous. */
const BLANK = String.raw`(?:\s|\\+(?:[nrt]|u00(?:09|0[aAdD]|20)))*`;

/** Keys that are shown unchanged. */
const KNOWN_KEYS = new Map<string, string>();
/** Cache size, and maximum length of a cached key. */
const MOST_KNOWN_KEYS = 256;
const MOST_KNOWN_LENGTH = 64;

/** After a name: its closing quote, escaped once or more in nested JSON, then `=` or `:`. */
const ASSIGNED = String.raw`(?:\\*["'])?${BLANK}[:=]${BLANK}`;

/** A name and its value as two entries of a list. */
const PAIRED = String.raw`\\*["']${BLANK},${BLANK}`;

/**
 * A quoted value. Ends at a quote with as many backslashes as the opening one, since inner quotes of nested JSON have
 * more. An unclosed one extends to the end.
 */
const QUOTED = String.raw`(?<escape>\\*)"(?:[^]*?(?<!\\)\k<escape>"|[^]*)|'[^']*'?`;

/**
 * Possible start of a token: not within a word, but directly after an escape sequence, whose letter does not belong to
 * it.
 */
const START = String.raw`(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))`;

interface Pattern {
  readonly kind: string;
  readonly find: RegExp;
}

/** Known formats first, so that a token is labelled by its kind. The first group is kept. */
const PATTERNS: readonly Pattern[] = [
  {
    kind: "authorization",
    find: new RegExp(String.raw`(authorization(?:${ASSIGNED}|${PAIRED}))(?:${QUOTED}|[^\r\n]+)`, "gi"),
  },
  { kind: "authorization", find: /(\bbearer\s+)[\w.~+/=-]{16,}/gi },
  { kind: "userinfo", find: /(:\/\/)[^\s/@:]*:[^\s/@]+(?=@)/g },
  // Anchored at the start of a word that is followed by dots, so that each word is searched for `eyJ` only once.
  {
    kind: "jwt",
    find: new RegExp(
      String.raw`(?<![\w-])(?=[\w-]+\.[\w-]*\.)([\w-]*?${START})eyJ[\w-]+(?:\.[\w-]*){2,4}`,
      "g",
    ),
  },
  { kind: "key", find: new RegExp(String.raw`()${START}sk-[\w-]{4,}`, "g") },
  { kind: "slack", find: new RegExp(String.raw`()${START}xox[a-z]-[\w-]+`, "g") },
  { kind: "github", find: new RegExp(String.raw`()${START}(?:gh[a-z]_|github_pat_)\w+`, "g") },
  { kind: "huggingface", find: new RegExp(String.raw`()${START}hf_[A-Za-z0-9]{16,}`, "g") },
  { kind: "pat", find: new RegExp(String.raw`()${START}pat-[\w-]{4,}`, "g") },
  { kind: "aws", find: new RegExp(String.raw`()${START}(?:AKIA|ASIA)[A-Z0-9]{12,}`, "g") },
  {
    kind: "secret",
    find: new RegExp(
      String.raw`((?:${SECRET_NAMES})${ASSIGNED})(?!\[REDACTED:)` +
        String.raw`(?:${QUOTED}|\[[^\]]*\]?|\{[^}]*\}?|[^\s"',;&}\]]+)`,
      "gi",
    ),
  },
];

/** Pre-filter: text without any of these cannot match and costs a single search. */
const SUSPICIOUS = new RegExp(
  `authorization|bearer|://|eyJ|sk-|xox|gh[a-z]_|hf_|pat[-_]|AKIA|ASIA|${SECRET_NAMES}`,
  "i",
);

/** @returns The text with `[REDACTED:kind]` in place of secrets; only the length of a very long text. */
export function redactText(text: string): string {
  if (text.length > MOST_SEARCHED) return `[${text.length} characters left out]`;
  if (!SUSPICIOUS.test(text)) return text;
  return PATTERNS.reduce((left, { kind, find }) => left.replace(find, `$1[REDACTED:${kind}]`), text);
}

/**
 * Serialise a record, which may have big integers, without secrets and without raw control characters. Long texts are
 * truncated.
 */
export function redactedJson(record: object): string {
  // JSON leaves some of them as they are, and only texts have any.
  return spellControls(JSON.stringify(record, redactEntry));
}

function redactEntry(key: string, value: unknown): unknown {
  if (value !== undefined && value !== null && SECRET_KEY.test(key)) return "[REDACTED:secret]";
  switch (typeof value) {
    case "string":
      return shorten(redactText(value));
    case "bigint":
      return String(value);
    case "object":
      return value === null || Array.isArray(value) ? value : withoutSecretKeys(value);
    default:
      return value;
  }
}

/** The same object if no key has to change. */
function withoutSecretKeys(value: object): object {
  if (Object.keys(value).every((key) => shownKey(key) === key)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [shownKey(key), inner]));
}

/** Cached, because records use the same few keys. */
function shownKey(key: string): string {
  const known = KNOWN_KEYS.get(key);
  if (known !== undefined) return known;
  const shown = shorten(redactText(key));
  if (shown === key && key.length <= MOST_KNOWN_LENGTH && KNOWN_KEYS.size < MOST_KNOWN_KEYS) KNOWN_KEYS.set(key, shown);
  return shown;
}

/** Truncates after redaction: patterns do not match half a secret. */
function shorten(text: string): string {
  if (text.length <= MOST_SHOWN) return text;
  return `${text.slice(0, MOST_SHOWN)}… [${text.length - MOST_SHOWN} more characters]`;
}
