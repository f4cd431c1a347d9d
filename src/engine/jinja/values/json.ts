/** `tojson`, as transformers sets it up: Python's `json.dumps` without the escaping of HTML. */
import { checkDepth, Problem } from "./error.ts";
import { printNumber } from "./print.ts";
import { changedByRuns, isStr, rawOf, type Str, TextBuilder } from "./text.ts";
import { compareValues } from "./compare.ts";
import { Dict, Float, type Meter, Tuple, typeName, type Value } from "./values.ts";

export interface JsonStyle {
  readonly ascii: boolean;
  /** One level of indentation; absent for a single line. */
  readonly indent?: Str;
  readonly item: Str;
  readonly key: Str;
  readonly sortKeys: boolean;
}

export function toJson(value: Value, style: JsonStyle, meter: Meter): Str {
  const builder = new TextBuilder();
  const newline = (depth: number): void => {
    if (style.indent === undefined) return;
    builder.push("\n");
    for (let i = 0; i < depth; i++) builder.push(style.indent);
  };
  const writeAll = (open: string, length: number, close: string, depth: number, each: (i: number) => void): void => {
    checkDepth(depth);
    builder.push(open);
    for (let i = 0; i < length; i++) {
      if (i > 0) builder.push(style.item);
      newline(depth + 1);
      each(i);
    }
    if (length > 0) newline(depth);
    builder.push(close);
  };
  const write = (value: Value, depth: number): void => {
    meter.spend(1);
    if (isStr(value)) {
      writeString(builder, value, style.ascii);
    } else if (Array.isArray(value) || value instanceof Tuple) {
      const items = Array.isArray(value) ? value : value.items;
      writeAll("[", items.length, "]", depth, (i) => write(items[i] as Value, depth + 1));
    } else if (value instanceof Dict) {
      const pairs = value.pairs();
      if (style.sortKeys) pairs.sort(([a], [b]) => compareValues(a, b, meter));
      writeAll("{", pairs.length, "}", depth, (i) => {
        const [key, item] = pairs[i] as [Value, Value];
        writeString(builder, keyOf(key), style.ascii);
        builder.push(style.key);
        write(item, depth + 1);
      });
    } else {
      builder.push(plain(value));
    }
  };
  write(value, 0);
  return builder.text();
}

function plain(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value !== "number" && !(value instanceof Float)) {
    throw new Problem(`Object of type ${typeName(value)} is not JSON serializable`);
  }
  const printed = printNumber(value);
  return ({ nan: "NaN", inf: "Infinity", "-inf": "-Infinity" })[printed] ?? printed;
}

function keyOf(key: Value): Str {
  if (isStr(key)) return key;
  if (key !== null && typeof key !== "boolean" && typeof key !== "number" && !(key instanceof Float)) {
    throw new Problem(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
  }
  return plain(key);
}

const QUICK = /^[^"\\\p{Cc}\ud800-\udfff]*$/u;

function writeString(builder: TextBuilder, text: Str, ascii: boolean): void {
  builder.push('"');
  if (!ascii && QUICK.test(rawOf(text))) builder.push(text);
  else builder.push(changedByRuns(text, (run) => escape(run, ascii)));
  builder.push('"');
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function escape(run: string, ascii: boolean): string {
  // deno-lint-ignore no-control-regex
  const pattern = ascii ? /["\\]|[^\x20-\x7e]/g : /["\\\x00-\x1f]/g;
  return run.replace(
    pattern,
    (char) => SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
