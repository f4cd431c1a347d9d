/** Python's methods of strings. */
import { Problem } from "../values/error.ts";
import { pad } from "../values/number_format.ts";
import { strFormat } from "../values/str_format.ts";
import {
  changed,
  charsOf,
  concat,
  escapeHtml,
  isMarkup,
  isStr,
  join,
  lengthOf,
  rawOf,
  repeat,
  slice,
  type Str,
  TextBuilder,
  withMarkup,
} from "../values/text.ts";
import { Dict, itemsOf, Tuple, typeName, type Value } from "../values/values.ts";
import { type Apply, definer, intArgument, textArgument } from "./signature.ts";
import { capitalize, KINDS, swapCase, titleCase } from "./text_case.ts";
import { count, find, replace, split, splitLines, strip, window } from "./text_search.ts";

const methods = new Map<string, Apply>();
const addMethod = definer<Str>(methods, "()");

/** An argument that may be None or left out. */
function optional<T>(value: Value | undefined, read: (value: Value) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value);
}

function index(value: Value | undefined): number | undefined {
  return optional(value, (given) => intArgument(given, 0));
}

for (const [name, left, right] of [["strip", true, true], ["lstrip", true, false], ["rstrip", false, true]] as const) {
  addMethod(name, "/ chars", (text, [chars]) => strip(text, optional(chars, textArgument), left, right));
}
for (const name of ["split", "rsplit"]) {
  addMethod(
    name,
    "/ sep maxsplit",
    (text, [separator, most]) =>
      split(text, optional(separator, textArgument), intArgument(most, -1), name === "rsplit"),
  );
}
addMethod("splitlines", "/ keepends", (text, [keep]) => splitLines(text, keep === true));
addMethod("partition", "sep", (text, [separator]) => {
  const parts = split(text, textArgument(separator), 1);
  return new Tuple(parts.length === 2 ? [parts[0] as Str, separator as Str, parts[1] as Str] : [text, "", ""]);
});
addMethod("rpartition", "sep", (text, [separator]) => {
  const parts = split(text, textArgument(separator), 1, true);
  return new Tuple(parts.length === 2 ? [parts[0] as Str, separator as Str, parts[1] as Str] : ["", "", text]);
});

for (
  const [name, matches] of [
    ["startswith", (raw: string, part: string) => raw.startsWith(part)],
    ["endswith", (raw: string, part: string) => raw.endsWith(part)],
  ] as const
) {
  addMethod(name, "affix / start end", (text, [affix, start, end]) => {
    const { part, from } = window(text, index(start), index(end));
    const affixes = affix instanceof Tuple ? affix.items : [affix];
    return affixes.some((one) => matches(rawOf(part), rawOf(textArgument(one))) && from >= 0);
  });
}
for (
  const [name, last, mustExist] of [
    ["find", false, false],
    ["rfind", true, false],
    ["index", false, true],
    ["rindex", true, true],
  ] as const
) {
  addMethod(name, "sub / start end", (text, [part, start, end]) => {
    const at = find(text, textArgument(part), index(start), index(end), last);
    if (at < 0 && mustExist) throw new Problem("substring not found");
    return at;
  });
}
addMethod(
  "count",
  "sub / start end",
  (text, [part, start, end]) => count(text, textArgument(part), index(start), index(end)),
);
addMethod("replace", "old new / count", (text, [old, replacement, most]) => {
  const safe = (given: Value | undefined): Str => {
    const argument = textArgument(given);
    return isMarkup(text) ? escapeHtml(argument) : argument;
  };
  return replace(text, safe(old), safe(replacement), intArgument(most, -1));
});
addMethod("removeprefix", "prefix", (text, [prefix]) => {
  const [raw, part] = [rawOf(text), rawOf(textArgument(prefix))];
  return raw.startsWith(part) ? slice(text, part.length, raw.length) : text;
});
addMethod("removesuffix", "suffix", (text, [suffix]) => {
  const [raw, part] = [rawOf(text), rawOf(textArgument(suffix))];
  return raw.endsWith(part) ? slice(text, 0, raw.length - part.length) : text;
});
addMethod("join", "iterable", (text, [iterable]) => {
  const parts = itemsOf(iterable as Value).map((item, i) => {
    if (!isStr(item)) throw new Problem(`sequence item ${i}: expected str instance, ${typeName(item)} found`);
    return isMarkup(text) ? escapeHtml(item) : item;
  });
  return withMarkup(join(text, parts), isMarkup(text));
});

addMethod("upper", "", (text) => changed(text, (raw) => raw.toUpperCase()));
addMethod("lower", "", (text) => changed(text, (raw) => raw.toLowerCase()));
addMethod("casefold", "", (text) => changed(text, (raw) => raw.toUpperCase().toLowerCase()));
addMethod("title", "", titleCase);
addMethod("capitalize", "", capitalize);
addMethod("swapcase", "", swapCase);
for (const [name, test] of Object.entries(KINDS)) addMethod(name, "", (text) => test(rawOf(text)));

for (const [name, align] of [["ljust", "<"], ["rjust", ">"]] as const) {
  addMethod(
    name,
    "width / fillchar",
    (text, [width, fill]) => pad(text, { align, width: intArgument(width, 0), fill: fillOf(fill) }, align),
  );
}
addMethod("center", "width / fillchar", (text, [width, fill]) => center(text, intArgument(width, 0), fillOf(fill)));
addMethod("zfill", "width", (text, [width]) => {
  const raw = rawOf(text);
  const sign = raw.startsWith("+") || raw.startsWith("-") ? 1 : 0;
  const zeros = repeat("0", intArgument(width, 0) - lengthOf(text));
  return concat(concat(slice(text, 0, sign), zeros), slice(text, sign, raw.length));
});
addMethod("expandtabs", "/ tabsize", (text, [size]) => {
  const width = intArgument(size, 8);
  let column = 0;
  const builder = new TextBuilder();
  for (const char of charsOf(text)) {
    const raw = rawOf(char);
    const expanded = raw === "\t" ? repeat(" ", width > 0 ? width - column % width : 0) : char;
    column = raw === "\n" || raw === "\r" ? 0 : column + lengthOf(expanded);
    builder.push(expanded);
  }
  return builder.text();
});

methods.set("format", (run, text, args, named) => strFormat(run, text as Str, args, named));
methods.set("format_map", (run, text, [mapping], _named) => {
  if (!(mapping instanceof Dict)) throw new Problem("format_map() needs a mapping");
  return strFormat(
    run,
    text as Str,
    [],
    new Map(mapping.pairs().map(([key, value]) => [rawOf(textArgument(key)), value])),
  );
});

function fillOf(value: Value | undefined): Str {
  const fill = textArgument(value, " ");
  if (lengthOf(fill) !== 1) throw new Problem("The fill character must be exactly one character long");
  return fill;
}

/** A string in the middle of a width. */
export function center(text: Str, width: number, fill: Str = " "): Str {
  const missing = width - lengthOf(text);
  if (missing <= 0) return text;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return concat(concat(repeat(fill, left), text), repeat(fill, missing - left));
}

export const STR_METHODS: ReadonlyMap<string, Apply> = methods;
