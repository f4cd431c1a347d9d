/** Jinja's filters that make text. */
import { Problem } from "../values/error.ts";
import { toJson } from "../values/json.ts";
import { modulo } from "../values/operators.ts";
import { str } from "../values/print.ts";
import {
  changed,
  changedByRuns,
  concat,
  escapeHtml,
  inputOf,
  isMarkup,
  isStr,
  join,
  lengthOf,
  rawOf,
  repeat,
  slice,
  type Str,
  TextBuilder,
  textOf,
  unitOf,
  withMarkup,
} from "../values/text.ts";
import {
  Dict,
  isTrue,
  itemsOf,
  type Meter,
  type Named,
  numberOf,
  type Run,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "../values/values.ts";
import { pairsOf } from "./collection_methods.ts";
import { type Apply, type Bound, definer, intArgument, textArgument } from "./signature.ts";
import { attributeGetter } from "./sorting.ts";
import { center } from "./str_methods.ts";
import { capitalize, capitalizeWords } from "./text_case.ts";
import { replace, split, splitLines, strip } from "./text_search.ts";

/** A value as a string; safe HTML stays safe. */
function soft(value: Value, meter: Meter): Str {
  return isStr(value) ? value : str(value, meter);
}

/** A filter without arguments that takes anything as a string. */
function ofText(name: string, change: (text: Str) => Value): void {
  addFilter(name, "", (value, _, run) => change(soft(value, run)));
}

const filters = new Map<string, Apply>();
const addFilter = definer<Value>(filters, "");

ofText("upper", (text) => changed(text, (raw) => raw.toUpperCase()));
ofText("lower", (text) => changed(text, (raw) => raw.toLowerCase()));
ofText("capitalize", capitalize);
ofText("title", capitalizeWords);
addFilter(
  "trim",
  "/ chars",
  (value, [chars], run) =>
    strip(soft(value, run), chars === undefined || chars === null ? undefined : textArgument(chars)),
);
ofText("string", (text) => text);
ofText("safe", (text) => withMarkup(text, true));
ofText("escape", escapeHtml);
ofText("e", escapeHtml);
ofText("forceescape", (text) => escapeHtml(withMarkup(text, false)));
ofText("striptags", (text) => stripTags(withMarkup(text, false)));
addFilter("center", "/ width", (value, [width], run) => center(soft(value, run), intArgument(width, 80)));
addFilter("replace", "old new / count", (value, [old, replacement, count], run) =>
  replace(
    str(value, run),
    str(old as Value, run),
    str(replacement as Value, run),
    count === null ? -1 : intArgument(count, -1),
  ));
addFilter("join", "/ d attribute", (value, [separator = "", attribute], run) => {
  const get = attributeGetter(run, attribute);
  const between = str(separator, run);
  const builder = new TextBuilder();
  itemsOf(value).forEach((item, i) => {
    if (i > 0) builder.push(between);
    builder.push(str(get(item), run));
  });
  return builder.text();
});
addFilter(
  "indent",
  "/ width first blank",
  (value, [width = 4, first = false, blank = false]) => indent(value, width, isTrue(first), isTrue(blank)),
);
addFilter("truncate", "/ length killwords end leeway", (value, [length, kill = false, end, leeway], run) =>
  truncate(
    value,
    intArgument(length, 255),
    isTrue(kill),
    textArgument(end, "..."),
    intArgument(leeway ?? 5, 5),
    run,
  ));
ofText("wordcount", (text) => rawOf(text).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0);
addFilter("urlencode", "", urlencode);
addFilter(
  "filesizeformat",
  "/ binary",
  (value, [binary = false], run) => fileSize(numberOf(run.filter("float", value, [])) ?? 0, isTrue(binary)),
);
addFilter("tojson", "/ ensure_ascii indent separators sort_keys", tojson);
filters.set("format", format);

export const TEXT_FILTERS: ReadonlyMap<string, Apply> = filters;

function format(run: Run, value: Value, args: readonly Value[], named: Named): Value {
  if (args.length > 0 && named.size > 0) {
    throw new Problem("format cannot handle positional and keyword arguments at the same time");
  }
  return modulo(soft(value, run), named.size > 0 ? new Dict(named) : new Tuple(args), run);
}

function tojson(
  value: Value,
  [ascii = false, indent = null, separators = null, sortKeys = false]: Bound,
  run: Run,
): Value {
  const [item, key] = separators === null
    ? [indent === null ? ", " : ",", ": "]
    : itemsOf(separators).map((part) => textArgument(part));
  if (item === undefined || key === undefined) throw new Problem("tojson needs two separators");
  const style = { ascii: isTrue(ascii), item, key, sortKeys: isTrue(sortKeys) };
  if (indent === null) return toJson(value, style, run);
  return toJson(value, { ...style, indent: isStr(indent) ? indent : repeat(" ", intArgument(indent, 0)) }, run);
}

function indent(value: Value, width: Value, first: boolean, blank: boolean): Value {
  if (value instanceof Undefined) value.fail();
  if (!isStr(value)) throw new Problem(`indent needs a string, not '${typeName(value)}'`);
  const indention = isStr(width) ? width : repeat(" ", intArgument(width, 4));
  const lines = splitLines(concat(value, "\n"));
  const [top = "", ...rest] = lines;
  const indented = rest.map((line) => blank || rawOf(line) !== "" ? concat(indention, line) : line);
  const text = join("\n", [top, ...indented]);
  return withMarkup(first ? concat(indention, text) : text, isMarkup(value));
}

function truncate(value: Value, length: number, killWords: boolean, end: Str, leeway: number, meter: Meter): Value {
  const text = soft(value, meter);
  const least = lengthOf(end);
  if (length < least) throw new Problem(`truncate needs a length of at least ${least}, got ${length}`);
  if (leeway < 0) throw new Problem(`truncate needs a leeway of at least 0, got ${leeway}`);
  if (lengthOf(text) <= length + leeway) return text;
  const cut = slice(text, 0, unitOf(text, length - least));
  return concat(killWords ? cut : split(cut, " ", 1, true)[0] as Str, end);
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\xa0",
};

/** A string without what is from an opening to the next closing. */
function without(text: Str, open: string, close: string): Str {
  const raw = rawOf(text);
  const builder = new TextBuilder();
  let at = 0;
  while (true) {
    const from = raw.indexOf(open, at);
    const to = from < 0 ? -1 : raw.indexOf(close, from + open.length);
    if (to < 0) break;
    builder.pushSlice(text, at, from);
    at = to + close.length;
  }
  builder.pushSlice(text, at, raw.length);
  return builder.text();
}

function stripTags(text: Str): Str {
  const bare = without(without(text, "<!--", "-->"), "<", ">");
  const words = join(" ", split(bare, undefined, -1));
  const unescaped = changedByRuns(
    words,
    (raw) =>
      raw.replace(
        /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-z]+));/g,
        (all, decimal?: string, hex?: string, name = "") => {
          const code = decimal === undefined ? parseInt(hex ?? "", 16) : Number(decimal);
          return code <= 0x10ffff ? String.fromCodePoint(code) : ENTITIES[name] ?? all;
        },
      ),
  );
  return textOf(rawOf(unescaped), inputOf(unescaped));
}

function urlencode(value: Value, _args: Bound, run: Run): Value {
  if (isStr(value) || !(value instanceof Dict || Array.isArray(value) || value instanceof Tuple)) {
    return quoteUrl(run.print(value), true);
  }
  return join(
    "&",
    pairsOf(value).map(([key, item]) =>
      concat(concat(quoteUrl(run.print(key), false), "="), quoteUrl(run.print(item), false))
    ),
  );
}

function quoteUrl(text: Str, isPath: boolean): Str {
  return changedByRuns(text, (raw) => {
    const quoted = encodeURIComponent(raw.toWellFormed()).replace(
      /[!'()*]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
    );
    return isPath ? quoted.replaceAll("%2F", "/") : quoted.replaceAll("%20", "+");
  });
}

function fileSize(bytes: number, binary: boolean): string {
  const base = binary ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const letters = binary ? "KMGTPEZY" : "kMGTPEZY";
  let unit = base ** 2;
  let i = 0;
  while (i < letters.length - 1 && bytes >= unit) {
    unit *= base;
    i++;
  }
  return `${(base * bytes / unit).toFixed(1)} ${letters[i]}${binary ? "iB" : "B"}`;
}
