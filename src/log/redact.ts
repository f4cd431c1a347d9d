/**
 * Takes secrets out of what is logged. Works on values before they become JSON, so a record stays valid JSON whatever
 * is replaced. Owns the patterns; who logs what is not its business.
 *
 * What is searched is untrusted: no pattern rescans the same characters for every position where it could begin
 * at, so that a text costs what it weighs.
 */

const SECRET_NAMES = "password|passwd|pwd|api[_ -]?key|secret|token";

/** A record's own key that names a secret, also as the end of a longer one: `client_secret`, `accessToken`. */
const SECRET_KEY = new RegExp(`(?:${SECRET_NAMES}|authorization)$`, "i");

/** Longer texts are not searched and not logged, in UTF-16 units. */
const MOST_SEARCHED = 4 * 1024 * 1024;
/** So much of a text is logged, in UTF-16 units. */
const MOST_SHOWN = 16 * 1024;

/** Blanks, also escaped ones; the letter ends the backslashes, so there is one way to read them. */
const BLANK = String.raw`(?:\s|\\+(?:[nrt]|u00(?:09|0[aAdD]|20)))*`;

/** Keys that are shown as they are. */
const KNOWN_KEYS = new Map<string, string>();
/** So many are remembered, none longer than this. */
const MOST_KNOWN_KEYS = 256;
const MOST_KNOWN_LENGTH = 64;

/** After a name: its closing quote, escaped once or more where JSON is nested in JSON, then `=` or `:`. */
const ASSIGNED = String.raw`(?:\\*["'])?${BLANK}[:=]${BLANK}`;

/** A name and its value as two entries of a list. */
const PAIRED = String.raw`\\*["']${BLANK},${BLANK}`;

/**
 * A quoted value. It ends at a quote with as many backslashes as the one it began with: in JSON that is nested in JSON
 * those inside have more. One that never closes goes to the end.
 */
const QUOTED = String.raw`(?<escape>\\*)"(?:[^]*?(?<!\\)\k<escape>"|[^]*)|'[^']*'?`;

/** Where a token can begin: not in the middle of a word, but right behind an escape, whose letter is no part of it. */
const START = String.raw`(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))`;

interface Pattern {
  readonly kind: string;
  readonly find: RegExp;
}

/** Known shapes first, so that a token is named by what it is. The first group is kept. */
const PATTERNS: readonly Pattern[] = [
  {
    kind: "authorization",
    find: new RegExp(String.raw`(authorization(?:${ASSIGNED}|${PAIRED}))(?:${QUOTED}|[^\r\n]+)`, "gi"),
  },
  { kind: "authorization", find: /(\bbearer\s+)[\w.~+/=-]{16,}/gi },
  { kind: "userinfo", find: /(:\/\/)[^\s/@:]*:[^\s/@]+(?=@)/g },
  // From the beginning of a word of which it is known that dots follow: the search for `eyJ` in it is over once.
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

/** What every pattern needs somewhere: a text without any of it is left alone at the cost of one search. */
const SUSPICIOUS = new RegExp(
  `authorization|bearer|://|eyJ|sk-|xox|gh[a-z]_|hf_|pat[-_]|AKIA|ASIA|${SECRET_NAMES}`,
  "i",
);

/**
 * Replace secrets in a text.
 *
 * @param text Any text.
 * @returns The text with `[REDACTED:kind]` where a secret was; of a very long one only how long it was.
 */
export function redactText(text: string): string {
  if (text.length > MOST_SEARCHED) return `[${text.length} characters left out]`;
  if (!SUSPICIOUS.test(text)) return text;
  return PATTERNS.reduce((left, { kind, find }) => left.replace(find, `$1[REDACTED:${kind}]`), text);
}

/**
 * Serialise a record without its secrets. Texts are cut to a length a line can hold.
 *
 * @param record What `JSON.stringify` takes, or with big integers in it.
 * @returns One line of JSON.
 */
export function redactedJson(record: object): string {
  return JSON.stringify(record, redactEntry);
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

/** The same object where no key has to be changed. */
function withoutSecretKeys(value: object): object {
  if (Object.keys(value).every((key) => shownKey(key) === key)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [shownKey(key), inner]));
}

/** Records have the same few keys again and again. */
function shownKey(key: string): string {
  const known = KNOWN_KEYS.get(key);
  if (known !== undefined) return known;
  const shown = shorten(redactText(key));
  if (shown === key && key.length <= MOST_KNOWN_LENGTH && KNOWN_KEYS.size < MOST_KNOWN_KEYS) KNOWN_KEYS.set(key, shown);
  return shown;
}

/** Cut after redaction: half a secret is none that a pattern knows. */
function shorten(text: string): string {
  if (text.length <= MOST_SHOWN) return text;
  return `${text.slice(0, MOST_SHOWN)}… [${text.length - MOST_SHOWN} more characters]`;
}
