/** Python's `template % values`. */
import { Problem } from "./error.ts";
import { formatFloat, formatInteger, formatText, type Spec } from "./number_format.ts";
import { repr, str } from "./print.ts";
import { escapeHtml, isMarkup, isStr, rawOf, type Str, TextBuilder } from "./text.ts";
import { Dict, isInt, type Meter, numberOf, orElse, Tuple, typeName, type Value } from "./values.ts";

const FIELD = /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([diouxXeEfFgGcrsa%])?/g;

/** A string with values put in the place of its `%` fields. */
export function percentFormat(template: Str, values: Value, meter: Meter): Str {
  const raw = rawOf(template);
  const markup = isMarkup(template);
  const positional = values instanceof Tuple ? values.items : [values];
  const builder = new TextBuilder();
  let at = 0;
  let used = 0;
  const next = (): Value => {
    const value = positional[used++];
    if (value === undefined) throw new Problem("not enough arguments for format string");
    return value;
  };
  const size = (given: string | undefined): number | undefined => {
    if (given !== "*") return given === undefined ? undefined : Number(given);
    const value = next();
    if (!isInt(value)) throw new Problem("* wants int");
    return Number(value);
  };
  for (const match of raw.matchAll(FIELD)) {
    const [all, name, flags = "", width, precision, kind] = match;
    builder.pushSlice(template, at, match.index);
    at = match.index + all.length;
    if (kind === undefined) {
      throw new Problem(at < raw.length ? `unsupported format character '${raw[at]}'` : "incomplete format");
    }
    if (kind === "%") {
      builder.push("%");
      continue;
    }
    const mapped = name === undefined ? undefined : named(values, name);
    const [least, exact] = [size(width) ?? 0, size(precision)];
    if (mapped !== undefined) used = positional.length;
    const left = flags.includes("-") || least < 0;
    builder.push(
      field(orElse(mapped, next), markup, {
        fill: flags.includes("0") && !left && !"rsac".includes(kind) ? "0" : " ",
        align: left ? "<" : flags.includes("0") && !"rsac".includes(kind) ? "=" : ">",
        sign: flags.includes("+") ? "+" : flags.includes(" ") ? " " : "-",
        alternate: flags.includes("#"),
        group: "",
        width: Math.abs(least),
        precision: exact,
        kind,
      }, meter),
    );
  }
  builder.pushSlice(template, at, raw.length);
  if (used < positional.length && !(values instanceof Dict) && !Array.isArray(values)) {
    throw new Problem("not all arguments converted during string formatting");
  }
  return builder.text(markup);
}

function named(values: Value, name: string): Value {
  if (!(values instanceof Dict)) throw new Problem("format requires a mapping");
  const value = values.get(name);
  if (value === undefined) throw new Problem(`There is no value for %(${name})`);
  return value;
}

function field(value: Value, markup: boolean, spec: Spec, meter: Meter): Str {
  const { kind } = spec;
  if (kind === "r" || kind === "a" || kind === "s") {
    const printed = kind === "s" ? (isStr(value) ? value : str(value, meter)) : repr(value, meter);
    return formatText(markup ? escapeHtml(printed) : printed, spec);
  }
  if (kind === "c") {
    const char = isInt(value) ? String.fromCodePoint(Number(value)) : value;
    if (!isStr(char) || Array.from(rawOf(char)).length !== 1) throw new Problem("%c requires int or char");
    return formatText(char, spec);
  }
  const number = numberOf(value);
  if (number === undefined) throw new Problem(`%${kind} format: a number is required, not ${typeName(value)}`);
  if ("eEfFgG".includes(kind)) return formatFloat(number, spec);
  if ("oxX".includes(kind) && !isInt(value)) {
    throw new Problem(`%${kind} format: an integer is required, not ${typeName(value)}`);
  }
  if (!Number.isFinite(number)) throw new Problem(`cannot convert float ${number} to integer`);
  return formatInteger(Math.trunc(number), { ...spec, kind: "oxX".includes(kind) ? kind : "d" });
}
