/** Python's `str.format`. */
import { Problem } from "./error.ts";
import { formatNumber, formatText, type Spec } from "./number_format.ts";
import { repr, str } from "./print.ts";
import { escapeHtml, isMarkup, isStr, rawOf, slice, type Str, TextBuilder } from "./text.ts";
import { type Named, numberOf, type Run, typeName, type Value } from "./values.ts";

const SPEC = /^(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/su;

/** A string with values put in the place of its `{}` fields. */
export function strFormat(run: Run, template: Str, args: readonly Value[], named: Named): Str {
  const markup = isMarkup(template);
  let automatic = 0;
  let manual = false;
  const format = (template: Str, depth: number): Str => {
    const raw = rawOf(template);
    const builder = new TextBuilder();
    let at = 0;
    while (at < raw.length) {
      const brace = raw.slice(at).search(/[{}]/);
      builder.pushSlice(template, at, brace < 0 ? raw.length : at + brace);
      if (brace < 0) break;
      at += brace;
      if (raw[at] === raw[at + 1]) {
        builder.pushSlice(template, at, at + 1);
        at += 2;
        continue;
      }
      if (raw[at] === "}") throw new Problem("Single '}' encountered in format string");
      if (depth > 1) throw new Problem("Max string recursion exceeded");
      const end = closing(raw, at + 1);
      const [, path, conversion, colon] = /^((?:\[[^\]]*\]|[^!:[])*)(?:!(.))?(:)?/s.exec(
        raw.slice(at + 1, end),
      ) as unknown as [string, string, string | undefined, string | undefined];
      const value = find(path);
      const specAt = at + 1 + path.length + (conversion === undefined ? 0 : 2) + (colon === undefined ? 0 : 1);
      if (colon === undefined && specAt !== end) throw new Problem("expected ':' after conversion specifier");
      builder.push(put(converted(run, value, conversion), format(slice(template, specAt, end), depth + 1)));
      at = end + 1;
    }
    return builder.text();
  };
  const put = (value: Value, spec: Str): Str => {
    const text = formatValue(run, value, spec);
    return markup ? escapeHtml(text) : text;
  };
  const find = (path: string): Value => {
    const [, first = "", rest = ""] = /^([^.[]*)(.*)$/s.exec(path) ?? [];
    const index = first === "" ? automatic++ : /^\d+$/.test(first) ? Number(first) : undefined;
    manual ||= first !== "" && index !== undefined;
    if (manual && automatic > 0) throw new Problem("A format string numbers all of its fields or none");
    let value = index === undefined ? named.get(first) : args[index];
    if (value === undefined) {
      throw new Problem(index === undefined ? `There is no argument '${first}'` : "Replacement index out of range");
    }
    for (const [part, attribute, element] of rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]|./gs)) {
      if (attribute !== undefined) value = run.attribute(value, attribute);
      else if (element !== undefined) value = run.element(value, /^\d+$/.test(element) ? Number(element) : element);
      else throw new Problem(`Unexpected '${part}' in a field name`);
    }
    return value;
  };
  const text = format(template, 0);
  return markup ? escapeHtmlOnce(text) : text;
}

/** The parts are escaped already. */
function escapeHtmlOnce(text: Str): Str {
  const builder = new TextBuilder();
  builder.push(text);
  return builder.text(true);
}

function closing(raw: string, from: number): number {
  let depth = 1;
  for (let at = from; at < raw.length; at++) {
    if (raw[at] === "{") depth++;
    else if (raw[at] === "}" && --depth === 0) return at;
  }
  throw new Problem("expected '}' before end of string");
}

function converted(run: Run, value: Value, conversion: string | undefined): Value {
  if (conversion === undefined) return value;
  if (conversion === "s") return str(value, run);
  if (conversion === "r" || conversion === "a") return repr(value, run);
  throw new Problem(`Unknown conversion specifier '${conversion}'`);
}

function formatValue(run: Run, value: Value, spec: Str): Str {
  const raw = rawOf(spec);
  if (raw === "") return isStr(value) ? value : str(value, run);
  const match = SPEC.exec(raw);
  if (match === null) throw new Problem(`Invalid format specifier '${raw}'`);
  const [, fill, align = "", sign = "", alternate, zero, width, group = "", precision, kind = ""] = match;
  const parsed = {
    fill: fill ?? (zero === undefined ? " " : "0"),
    align: align === "" && zero !== undefined && !isStr(value) ? "=" : align,
    sign,
    alternate: alternate !== undefined,
    group,
    width: Number(width ?? 0),
    precision: precision === undefined ? undefined : Number(precision),
    kind,
  } as Spec;
  if (isStr(value)) {
    if (kind !== "" && kind !== "s") throw new Problem(`Unknown format code '${kind}' for object of type 'str'`);
    if (align === "=" || sign !== "" || group !== "") throw new Problem(`Format '${raw}' is not for strings`);
    return formatText(value, parsed);
  }
  if (numberOf(value) !== undefined) return formatNumber(value, parsed);
  throw new Problem(`unsupported format string passed to ${typeName(value)}.__format__`);
}
