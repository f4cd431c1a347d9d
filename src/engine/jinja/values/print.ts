/** How Python prints values: `str()` and `repr()`. */
import { checkDepth } from "./error.ts";
import { changedByRuns, inputOf, isMarkup, isStr, rawOf, type Str, TextBuilder, textOf } from "./text.ts";
import { Dict, Float, Lazy, type Meter, Range, Tuple, Undefined, type Value, View } from "./values.ts";

/** A value as text; its parts are counted as steps. */
export function str(value: Value, meter: Meter): Str {
  if (typeof value === "string") return value;
  if (isStr(value)) return isMarkup(value) ? textOf(rawOf(value), inputOf(value)) : value;
  if (value instanceof Undefined) return "";
  return repr(value, meter);
}

/** A value as Python code. */
export function repr(value: Value, meter: Meter): Str {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" || value instanceof Float) return printNumber(value);
  const builder = new TextBuilder();
  write(builder, value, meter, 0);
  return builder.text();
}

/** A number as Python prints it. */
export function printNumber(value: number | Float): string {
  if (value instanceof Float) {
    if (Object.is(value.value, -0)) return "-0.0";
    return Math.abs(value.value) < 1e16 ? `${value.value}.0` : exponential(value.value);
  }
  if (Number.isInteger(value)) return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString();
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Math.abs(value) < 1e-4 ? exponential(value) : String(value);
}

/** Python writes exponents with at least two digits. */
export function exponential(value: number, digits?: number): string {
  return value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
}

function write(builder: TextBuilder, value: Value, meter: Meter, depth: number): void {
  meter.spend(1);
  checkDepth(depth);
  const writeAll = (open: string, items: readonly Value[], close: string): void => {
    builder.push(open);
    items.forEach((item, i) => {
      if (i > 0) builder.push(", ");
      write(builder, item, meter, depth + 1);
    });
    builder.push(close);
  };
  if (isStr(value)) {
    const quoted = quote(value);
    if (isMarkup(value)) builder.push("Markup(");
    builder.push(quoted);
    if (isMarkup(value)) builder.push(")");
  } else if (Array.isArray(value)) {
    writeAll("[", value, "]");
  } else if (value instanceof Tuple) {
    writeAll("(", value.items, value.items.length === 1 ? ",)" : ")");
  } else if (value instanceof View) {
    writeAll(`dict_${value.kind}([`, value.items, "])");
  } else if (value instanceof Dict) {
    builder.push("{");
    value.pairs().forEach(([key, item], i) => {
      if (i > 0) builder.push(", ");
      write(builder, key, meter, depth + 1);
      builder.push(": ");
      write(builder, item, meter, depth + 1);
    });
    builder.push("}");
  } else if (value instanceof Range) {
    const { start, stop, step } = value;
    builder.push(step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`);
  } else if (value instanceof Lazy) {
    builder.push("<generator object>");
  } else if (value instanceof Undefined) {
    builder.push("Undefined");
  } else if (typeof value === "object" && value !== null && !(value instanceof Float)) {
    builder.push(value.print());
  } else {
    builder.push(repr(value, meter));
  }
}

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
const NOT_PRINTABLE = /[\\\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** A string in quotes, escaped as Python does. */
function quote(text: Str): Str {
  const raw = rawOf(text);
  const mark = raw.includes("'") && !raw.includes('"') ? '"' : "'";
  const builder = new TextBuilder();
  builder.push(mark);
  builder.push(
    changedByRuns(text, (run) => {
      const escaped = run.replace(NOT_PRINTABLE, (char) => SHORT[char] ?? escapeCode(char.codePointAt(0) as number));
      return mark === "'" ? escaped.replaceAll("'", "\\'") : escaped;
    }),
  );
  builder.push(mark);
  return builder.text();
}

function escapeCode(code: number): string {
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}
