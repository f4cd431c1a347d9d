/** Detects how a model family writes call arguments, by rendering its chat template. */
import type { AfterKey, ArgumentsForm, JsonType, ValueStyle } from "../dialect/dialect.ts";
import { type CallProbe, ONE_CALL } from "./call_probe.ts";
import { spacedJson } from "../render/messages.ts";
import { PROBE } from "./prober.ts";
import { isHole, sharedPrefix, sharedSuffix, textUnits, type Unit } from "./units.ts";

/** The argument syntax, and the position of the arguments in the rendered call. */
export interface ArgumentsFound {
  readonly form: ArgumentsForm;
  readonly begin: number;
  readonly end: number;
}

const KEY_IN_JSON = /^"\s*:\s*"$/;
/** Some templates leave the quotes out, although models write them. */
const KEY_IN_PYTHON = /^=(['"]?)$/;
/** A mapping printed as Python does: the template expects JSON text. */
const PRINTED = /\{'$/;

/** One sample value per JSON type. */
const SAMPLES: Readonly<Record<JsonType, unknown>> = {
  string: PROBE.value,
  integer: 73,
  number: 7.5,
  boolean: true,
  null: null,
  array: ["zqa", "zqb"],
  object: { zqc: "zqd" },
};

/**
 * Locate the arguments in a rendered call that has exactly one.
 *
 * @param probe Renders further calls.
 * @returns `undefined` if they cannot be distinguished from the rest.
 */
export function argumentsOf(probe: CallProbe, one: readonly Unit[]): ArgumentsFound | undefined {
  const keyAt = one.findIndex((unit) => isHole(unit, "key"));
  const valueAt = one.findIndex((unit, at) => at > keyAt && isHole(unit, "value"));
  const nameAt = one.findLastIndex((unit, at) => at < keyAt && isHole(unit, "name"));
  if (nameAt < 0 || keyAt < 0 || valueAt < 0) return undefined;
  const before = textUnits(one.slice(nameAt + 1, keyAt));
  const between = textUnits(one.slice(keyAt + 1, valueAt));
  /** The range from the last bracket before the key to the first one after the value. */
  const within = (open: string, close: string, form: ArgumentsForm): ArgumentsFound | undefined => {
    const begin = one.slice(0, keyAt).lastIndexOf(open);
    const end = one.indexOf(close, valueAt);
    return begin <= nameAt || end < 0 ? undefined : { form, begin, end: end + 1 };
  };
  if (KEY_IN_JSON.test(between)) return within("{", "}", { type: "json" });
  const quote = KEY_IN_PYTHON.exec(between)?.[1];
  if (quote !== undefined && before.endsWith("(")) return within("(", ")", { type: "python", quote: quote || '"' });
  if (PRINTED.test(before)) return undefined;
  if (between.startsWith(":") && between.length > 1 && before.endsWith("{")) {
    return within("{", "}", { type: "gemma", quote: probe.prober.specials.marker(between.slice(1).trim()) });
  }
  const after = one.slice(valueAt + 1);
  const closingKey = after.findIndex((unit) => isHole(unit, "key"));
  if (closingKey >= 0) {
    const open = bracketBefore(one.slice(nameAt + 1, keyAt));
    const form: ArgumentsForm = {
      type: "nested",
      open: probe.literal(open),
      close: probe.literal(after.slice(0, closingKey)),
    };
    return { form, begin: keyAt - open.length, end: valueAt + 1 + closingKey + 2 };
  }
  return elementsOf(probe, { before: one.slice(nameAt + 1, keyAt), after, keyAt, valueAt });
}

/** Start of the first argument's element: a bracket, with any prefix that precedes each element (MiniMax M3). */
function bracketBefore(units: readonly Unit[]): readonly Unit[] {
  const last = units.lastIndexOf("<");
  let left = /\][^\s]*\[$/.exec(textUnits(units.slice(0, last)))?.[0].length ?? 0;
  let at = last;
  for (; left > 0 && at > 0; at--) left -= (units[at - 1] as string).length;
  return units.slice(at);
}

/** One element per argument, detected by comparing the text around two of them. */
function elementsOf(
  probe: CallProbe,
  { before, after, keyAt, valueAt }: {
    readonly before: readonly Unit[];
    readonly after: readonly Unit[];
    readonly keyAt: number;
    readonly valueAt: number;
  },
): ArgumentsFound | undefined {
  const both = probe.turn([
    { ...ONE_CALL, input: { [PROBE.key]: PROBE.value, [PROBE.secondKey]: PROBE.secondValue } },
  ]);
  const value = both?.findIndex((unit) => isHole(unit, "value")) ?? -1;
  const key = both?.findIndex((unit) => isHole(unit, "secondKey")) ?? -1;
  if (both === undefined || value < 0 || key < value) return undefined;
  const middle = both.slice(value + 1, key);
  const close = middle.slice(0, sharedPrefix(middle, after));
  const further = middle.slice(close.length);
  const open = before.slice(before.length - sharedSuffix(before, further));
  if (close.length === 0 || open.length === 0) return undefined;
  const form: ArgumentsForm = {
    type: "elements",
    open: probe.literal(open),
    close: probe.literal(close),
    between: probe.literal(further.slice(0, further.length - open.length)),
    ...valuesOf(probe, textUnits(close)),
  };
  return { form, begin: keyAt - open.length, end: valueAt + 1 + close.length };
}

/** Separator before each type of value, and whether values are JSON or Python literals. */
function valuesOf(
  probe: CallProbe,
  close: string,
): { readonly afterKey: readonly AfterKey[]; readonly style: ValueStyle } {
  const byText = new Map<string, JsonType[]>();
  let style: ValueStyle = "json";
  for (const [type, sample] of Object.entries(SAMPLES) as [JsonType, unknown][]) {
    const units = probe.turn([{ ...ONE_CALL, input: { [PROBE.key]: sample } }]);
    const keyAt = units?.findIndex((unit) => isHole(unit, "key")) ?? -1;
    if (units === undefined || keyAt < 0) continue;
    const rest = textUnits(units.slice(keyAt + 1));
    // Strings are holes and leave no text here.
    const text = rest.slice(0, rest.lastIndexOf(close));
    const spellings = [JSON.stringify(sample), spacedJson(sample), pythonText(sample)];
    const written = type === "string" ? "" : spellings.find((spelling) => text.endsWith(spelling));
    if (written === undefined) continue;
    if (type === "boolean" && written === pythonText(sample)) style = "python";
    const lead = text.slice(0, text.length - written.length);
    byText.set(lead, [...byText.get(lead) ?? [], type]);
  }
  const { specials } = probe.prober;
  return { afterKey: [...byText].map(([text, types]) => ({ types, text: specials.marker(text) })), style };
}

function pythonText(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return spacedJson(value).replaceAll('"', "'");
}
