/** The formats of strings that are enforced. Any other is an annotation. */
import { charsOf, complement } from "../language/chars.ts";
import type { Language, Languages } from "../language/language.ts";
import { languageOf } from "../language/pattern.ts";

const IPV4 = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(?:\\.(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}";
const H16 = "[0-9A-Fa-f]{1,4}";
const LS32 = `(?:${H16}:${H16}|${IPV4})`;
/** RFC 3986. */
const IPV6 = `(?:${
  [
    `(?:${H16}:){6}${LS32}`,
    `::(?:${H16}:){5}${LS32}`,
    `(?:${H16})?::(?:${H16}:){4}${LS32}`,
    `(?:(?:${H16}:){0,1}${H16})?::(?:${H16}:){3}${LS32}`,
    `(?:(?:${H16}:){0,2}${H16})?::(?:${H16}:){2}${LS32}`,
    `(?:(?:${H16}:){0,3}${H16})?::${H16}:${LS32}`,
    `(?:(?:${H16}:){0,4}${H16})?::${LS32}`,
    `(?:(?:${H16}:){0,5}${H16})?::${H16}`,
    `(?:(?:${H16}:){0,6}${H16})?::`,
  ].join("|")
})`;

/** A valid date, with leap years. */
const DATE = "(?:" + [
  "\\d{4}-(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])",
  "\\d{4}-(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)",
  "\\d{4}-02-(?:0[1-9]|1\\d|2[0-8])",
  "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29",
].join("|") + ")";
/** With an offset; leap seconds only where they are possible. */
const TIME = "(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)" +
  "|23:59:60(?:\\.\\d+)?(?:[Zz]|[+-]00:00))";
const DURATION = "P(?:\\d+W|" +
  "(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)(?:T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))?|" +
  "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))";

const LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?";
const ATOM = "[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+";
const EMAIL = `${ATOM}(?:\\.${ATOM})*@${LABEL}(?:\\.${LABEL})+`;

const CODE = "%[0-9A-Fa-f]{2}";
const MARKS = "!$&'()*+,;=._~\\-";
/** RFC 3987: what an IRI has beyond a URI, everywhere and in a query. */
const WIDE = "\\u{A0}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFEF}" +
  [..."123456789ABCD"].map((plane) => `\\u{${plane}0000}-\\u{${plane}FFFD}`).join("") + "\\u{E1000}-\\u{EFFFD}";
const PRIVATE = "\\u{E000}-\\u{F8FF}\\u{F0000}-\\u{FFFFD}\\u{100000}-\\u{10FFFD}";

/**
 * RFC 3986: addresses, and references to them.
 *
 * @param wide Characters that are allowed beside, everywhere.
 * @param query The same within a query.
 */
function addresses(wide = "", query = ""): readonly [address: string, reference: string] {
  const pchar = `(?:[0-9A-Za-z${MARKS}:@${wide}]|${CODE})`;
  const name = `(?:[0-9A-Za-z${MARKS}${wide}]|${CODE})*`;
  const host = `(?:\\[(?:${IPV6}|[vV][0-9A-Fa-f]+\\.[0-9A-Za-z${MARKS}:]+)\\]|${name})`;
  const authority = `//(?:(?:[0-9A-Za-z${MARKS}:${wide}]|${CODE})*@)?${host}(?::\\d*)?(?:/${pchar}*)*`;
  const absolute = `/(?:${pchar}+(?:/${pchar}*)*)?`;
  const end = `(?:\\?(?:${pchar}|[/?${query}])*)?(?:#(?:${pchar}|[/?])*)?`;
  const address = `[A-Za-z][0-9A-Za-z+.\\-]*:(?:${authority}|${absolute}|${pchar}+(?:/${pchar}*)*)${end}`;
  // The first part of a relative one has no colon, or it would be a scheme.
  const relative = `(?:${authority}|${absolute}|(?:[0-9A-Za-z${MARKS}@${wide}]|${CODE})+(?:/${pchar}*)*)?${end}`;
  return [address, `(?:${address}|${relative})`];
}
const [URI, URI_REFERENCE] = addresses();
const [IRI, IRI_REFERENCE] = addresses(WIDE, PRIVATE);

/** RFC 6570. */
const VARIABLE = `(?:[0-9A-Za-z_]|${CODE})+(?::[1-9]\\d{0,3}|\\*)?`;
const EXPRESSION = `\\{[+#./;?&=,!@|]?${VARIABLE}(?:,${VARIABLE})*\\}`;
const TEMPLATE = `(?:[!#$&()*+,\\-./0-9:;=?@A-Z\\[\\]_a-z~${WIDE}${PRIVATE}]|${CODE}|${EXPRESSION})*`;

const POINTER = "(?:/(?:[^~/]|~[01])*)*";

const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  "date-time": `${DATE}[Tt]${TIME}`,
  duration: DURATION,
  email: EMAIL,
  hostname: `${LABEL}(?:\\.${LABEL})*`,
  ipv4: IPV4,
  ipv6: IPV6,
  uri: URI,
  "uri-reference": URI_REFERENCE,
  iri: IRI,
  "iri-reference": IRI_REFERENCE,
  "uri-template": TEMPLATE,
  uuid: "[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
  "json-pointer": POINTER,
  "relative-json-pointer": `(?:0|[1-9]\\d*)(?:#|${POINTER})`,
};
/** Characters that texts of a format may have. */
const LONGEST: Readonly<Record<string, number>> = { hostname: 253 };

/** Texts of a format. */
export interface FormatTexts {
  readonly language: Language;
  readonly most: number;
}

/**
 * The texts of a format.
 *
 * @param format Its name.
 * @param languages Where its parts go.
 * @returns `undefined` where the format is an annotation.
 */
export function formatTexts(format: string, languages: Languages): FormatTexts | undefined {
  if (format === "regex") return { language: languages.named("regex", () => expressions(languages)), most: Infinity };
  if (!Object.hasOwn(FORMATS, format)) return undefined;
  return { language: languageOf(`^(?:${FORMATS[format]})$`, languages), most: LONGEST[format] ?? Infinity };
}

/** Maximum nesting of groups in a regular expression. */
const GROUPS = 3;
const ESCAPE = "^\\\\(?:[dDwWsStnrfv0^$\\\\.*+?()[\\]{}|/]|x[0-9A-Fa-f]{2}|u[0-9A-Ca-cEFef][0-9A-Fa-f]{3})$";
const CLASS_ESCAPE = "^\\\\(?:[dDwWsStnrfv0\\-^$\\\\.*+?()[\\]{}|/]|x[0-9A-Fa-f]{2})$";
/** `m,n` with `m` at most `n`: `m` has fewer digits, or both have one. */
const COUNTS = ["\\d{1,3},?", "\\d,[1-9]\\d{1,2}", "\\d\\d,[1-9]\\d\\d"];
const QUANTIFIER = `^(?:[*+?]|\\{(?:${
  [...COUNTS, ...Array.from({ length: 10 }, (_, least) => `${least},[${least}-9]`)].join("|")
})\\})\\??$`;

/**
 * Regular expressions, but for those with names, references to groups and groups nested deeper: what is left is regular
 * itself.
 */
function expressions(l: Languages): Language {
  const ranges = ["09", "AZ", "az"].flatMap((ends) => {
    const [first, last] = [ends.charCodeAt(0), ends.charCodeAt(1)];
    return Array.from(
      { length: last - first + 1 },
      (_, i) => l.concat(l.text(`${String.fromCharCode(first + i)}-`), l.chars([first + i, last])),
    );
  });
  // A single character is not followed by a dash, which would make a range.
  const member = l.or(languageOf(CLASS_ESCAPE, l), l.chars(complement(charsOf("]\\-^"))), ...ranges);
  const set = l.concat(
    l.text("["),
    l.optional(l.text("^")),
    l.repeat(member, 0, Infinity),
    l.optional(l.text("-")),
    l.text("]"),
  );
  const atom = l.or(l.chars(complement(charsOf("\\^$*+?()[]{}|\n\r"))), languageOf(ESCAPE, l), set);
  const quantifier = l.optional(languageOf(QUANTIFIER, l));
  // Assertions, including lookahead, cannot be repeated.
  const places = l.or(l.chars(charsOf("^$")), languageOf("^\\\\[bB]$", l));
  let [groups, looks] = [l.none, l.none];
  for (let depth = 0;; depth++) {
    const part = l.or(l.concat(l.or(atom, groups), quantifier), places, looks);
    const alternative = l.repeat(part, 0, Infinity);
    const all = l.concat(alternative, l.repeat(l.concat(l.text("|"), alternative), 0, Infinity));
    if (depth === GROUPS) return all;
    const group = (...kinds: readonly string[]): Language => l.concat(l.words(kinds), all, l.text(")"));
    groups = group("(", "(?:");
    looks = group("(?=", "(?!");
  }
}
