/**
 * Takes secrets out of what is logged. Works on values before they become JSON, so a record stays valid JSON whatever
 * is replaced. Owns the patterns; who logs what is not its business.
 */

const SECRET_NAMES = "password|passwd|pwd|api[_-]?key|secret|token";

/** A record's own key that names a secret, also as the end of a longer one: `client_secret`, `accessToken`. */
const SECRET_KEY = new RegExp(`(?:${SECRET_NAMES}|authorization)$`, "i");

/** After a name: its closing quote, escaped once or more where JSON stands in JSON, then `=` or `:`. */
const ASSIGNED = String.raw`\\*["']?\s*[:=]\s*`;

/**
 * A quoted value. It ends at a quote with as many backslashes as the one it began with: in JSON that stands in JSON
 * those inside have more. One that never closes goes to the end.
 */
const QUOTED = String.raw`(?<escape>\\*)"(?:[^]*?(?<!\\)\k<escape>"|[^]*)|'[^']*'?`;

interface Pattern {
  readonly kind: string;
  readonly find: RegExp;
}

/** Known shapes first, so that a token is named by what it is. */
const PATTERNS: readonly Pattern[] = [
  { kind: "authorization", find: new RegExp(String.raw`(authorization${ASSIGNED})(?:${QUOTED}|[^\r\n]+)`, "gi") },
  { kind: "jwt", find: /()\beyJ[\w-]+\.[\w-]+\.[\w-]*/g },
  { kind: "key", find: /()\bsk-[\w-]{4,}/g },
  { kind: "slack", find: /()\bxox[a-z]-[\w-]+/g },
  { kind: "github", find: /()\b(?:gh[a-z]_|github_pat_)\w+/g },
  { kind: "pat", find: /()\bpat-[\w-]{4,}/g },
  { kind: "aws", find: /()\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g },
  {
    kind: "secret",
    find: new RegExp(
      String.raw`((?:${SECRET_NAMES})${ASSIGNED})(?!\[REDACTED:)(?:${QUOTED}|[^\s"',;&}\]]+)`,
      "gi",
    ),
  },
];

/** What every pattern needs somewhere: a text without any of it is left alone at the cost of one search. */
const SUSPICIOUS = new RegExp(`authorization|eyJ|sk-|xox|gh[a-z]_|pat[-_]|AKIA|ASIA|${SECRET_NAMES}`, "i");

/**
 * Replace secrets in a text.
 *
 * @param text Any text.
 * @returns The text with `[REDACTED:kind]` where a secret was.
 */
export function redactText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return PATTERNS.reduce((left, { kind, find }) => left.replace(find, `$1[REDACTED:${kind}]`), text);
}

/**
 * Serialise a record without its secrets.
 *
 * @param record What `JSON.stringify` takes.
 * @returns One line of JSON.
 */
export function redactedJson(record: object): string {
  return JSON.stringify(record, redactEntry);
}

function redactEntry(key: string, value: unknown): unknown {
  if ((typeof value === "string" || typeof value === "number") && SECRET_KEY.test(key)) return "[REDACTED:secret]";
  return typeof value === "string" ? redactText(value) : value;
}
