/**
 * Detects how a model family writes calls, by rendering call histories with its chat template: one or two calls, one or
 * two arguments, and arguments of each type.
 */
import { argumentsOf } from "./argument_form.ts";
import { CallProbe, ONE_CALL, OTHER_CALL } from "./call_probe.ts";
import type { ArgumentsForm, CallForm, CallPart, IdForm } from "../dialect/dialect.ts";
import { type Marker, textOf } from "../dialect/marker.ts";
import type { MessageForm } from "../render/messages.ts";
import { PROBE, type Prober } from "./prober.ts";
import type { Traits } from "./traits.ts";
import { isHole, isNumber, sharedPrefix, sharedSuffix, textUnits, trimmedStart, type Unit } from "./units.ts";

export interface CallTraits {
  readonly form: MessageForm;
  /** Absent if the template renders no calls, or none that can be told apart. */
  readonly call?: CallForm;
  /** Tokens that end an answer with calls although the vocabulary does not mark them as end tokens. */
  readonly ends: readonly string[];
}

/** @param traits Traits of the template that are already known. */
export function callTraitsOf(prober: Prober, traits: Traits): CallTraits {
  let usable: MessageForm | undefined;
  for (const form of formsOf(traits.form)) {
    const probe = new CallProbe(prober, traits, form);
    const call = callFormOf(probe);
    if (call !== undefined) return { form: { ...form, ids: call.ids }, call, ends: endsOf(probe) };
    if (probe.answer([[ONE_CALL]], { answered: true, prompt: true }) !== undefined) usable ??= form;
  }
  return { form: usable ?? traits.form, ends: [] };
}

/** Candidate message forms for calls, the usual one first. */
function* formsOf(form: MessageForm): Generator<MessageForm> {
  for (const tools of ["function", "flat"] as const) {
    for (const args of ["mapping", "text"] as const) {
      for (const ids of ["any", "short", "numbered"] as const) {
        yield { ...form, tools, arguments: args, ids };
      }
    }
  }
}

function callFormOf(probe: CallProbe): CallForm | undefined {
  const one = probe.turn([ONE_CALL]);
  const found = one === undefined ? undefined : argumentsOf(probe, one);
  if (one === undefined || found === undefined) return undefined;
  const { form, begin, end } = found;
  const from = one.findIndex((unit) => isHole(unit, "name"));
  const lead = one.slice(0, from);
  const named = one.slice(from, begin);
  const rest = withoutEnd(probe, one.slice(end));
  const parts = separate(probe.turn([ONE_CALL, OTHER_CALL])?.slice(end) ?? [], { lead, rest });
  const { between, tail } = parts;
  const sectionOpen = trimmedStart(parts.sectionOpen);
  const start = sectionOpen.length === 0 ? trimmedStart(parts.lead) : [...sectionOpen, ...parts.lead];
  // The message names its recipient: the tool's name is the first line, and a separator precedes further ones.
  const recipient = start.length === 0 && textUnits(named).trim() === "" && between.length > 0;
  if (start.length === 0 && !recipient) return undefined;
  const object = objectOf({ lead: textUnits(parts.lead), named: textUnits(named), tail: textUnits(tail), form });
  const bare = recipient || object !== undefined && /^\{|^\[\s*\{/.test(textUnits(start)) ||
    form.type === "python" && textUnits(start).trim() === "[";
  const marker = bare ? [] : markerOf(probe, start);
  const own = trimmedStart(parts.lead);
  // Whitespace before a call separates it from the preceding text.
  const space = parts.lead.slice(0, parts.lead.length - own.length);
  const head = sectionOpen.length === 0 ? own : parts.lead;
  return {
    marker,
    ...unmarkedOf(marker, start),
    sectionOpen: probe.literal(sectionOpen),
    head: partsOf(probe, [...head, ...named]),
    arguments: form,
    tail: partsOf(probe, tail),
    between: probe.literal(sectionOpen.length === 0 ? [...between, ...space] : between),
    sectionClose: probe.literal(parts.sectionClose),
    several: parts.several,
    ...(object === undefined ? {} : { object }),
    ...(recipient ? { recipient } : {}),
    ...(sortsArguments(probe) ? { sorted: true } : {}),
    ...(object === undefined || one.some((unit) => isHole(unit, "id")) ? {} : laterId(probe)),
    ids: idsOf(probe),
  };
}

/** Drops the end-of-turn text after the last argument; it is not part of the call. */
function withoutEnd({ prober: { specials }, traits }: CallProbe, units: Unit[]): Unit[] {
  const after = specials.units(traits.afterText);
  const length = sharedSuffix(after, units);
  const first = after.at(-length) ?? "";
  // A tag is never split.
  const whole = length === after.length || specials.isTag(first) || first.trim() === "";
  return length > 0 && whole ? units.slice(0, units.length - length) : units;
}

interface Separated {
  readonly sectionOpen: readonly Unit[];
  readonly lead: readonly Unit[];
  readonly tail: readonly Unit[];
  readonly between: readonly Unit[];
  readonly sectionClose: readonly Unit[];
  readonly several: boolean;
}

/**
 * Splits the text around two calls into prefix, separator and suffix, using what follows the first call's arguments.
 */
function separate(
  second: readonly Unit[],
  { lead, rest }: { readonly lead: readonly Unit[]; readonly rest: readonly Unit[] },
): Separated {
  const nameAt = second.findIndex((unit) => isHole(unit, "name"));
  const keyAt = second.findIndex((unit) => isHole(unit, "key"));
  if (nameAt < 0 || keyAt < 0) {
    return { sectionOpen: [], lead, tail: rest, between: [], sectionClose: [], several: false };
  }
  const middle = second.slice(0, nameAt);
  const tail = middle.slice(0, sharedPrefix(middle, rest));
  const further = middle.slice(tail.length);
  const length = sharedSuffix(lead, further);
  return {
    sectionOpen: lead.slice(0, lead.length - length),
    lead: lead.slice(lead.length - length),
    tail,
    between: further.slice(0, further.length - length),
    sectionClose: rest.slice(tail.length),
    several: true,
  };
}

/** The marker that begins calls, taken from the text before the first name. */
function markerOf({ prober: { specials }, traits }: CallProbe, start: readonly Unit[]): Marker {
  const holeAt = start.findIndex((unit) => typeof unit !== "string");
  const units = start.slice(0, holeAt < 0 ? start.length : holeAt) as string[];
  const [first = ""] = units;
  const text = units.join("");
  // Stop where the call's own JSON or list begins.
  const own = text.search(/[{[]\s*["{]/);
  const before = (own > 0 ? text.slice(0, own) : text).trimEnd();
  // A plain word is a marker only together with the following bracket.
  const whole = specials.marker(own > 0 && /^\w+$/.test(before) ? text.slice(0, own + 1) : before);
  // A token that ends answers or opens other sections does not identify a call.
  if (traits.ends.includes(first)) return whole;
  const { thought, text: frames } = traits;
  const others = [...frames.opens, ...(thought?.open === undefined ? [] : [thought.open])].map(textOf);
  const isShared = (marker: Marker): boolean => others.some((other) => other.startsWith(textOf(marker)));
  if (!specials.isTag(first)) {
    const at = units.findIndex((unit) => specials.get(unit) !== undefined);
    return at < 0 ? whole : specials.marker(units.slice(0, at + 1).join(""));
  }
  const only = specials.marker(first);
  if (!isShared(only)) return only;
  const last = units.findLast((unit) => specials.isTag(unit) && unit !== first);
  const at = last === undefined ? -1 : units.indexOf(last);
  const longer = specials.marker(units.slice(0, at + 1).join(""));
  return at < 0 || isShared(longer) ? whole : longer;
}

function unmarkedOf(marker: Marker, start: readonly Unit[]): { unmarked?: string } {
  const text = textUnits(start.slice(1)).trim();
  return marker.length === 1 && typeof marker[0] === "object" && /^<\w+=$/.test(text) ? { unmarked: text } : {};
}

/** Keys of a call that is a single JSON object. */
function objectOf(
  { lead, named, tail, form }: {
    readonly lead: string;
    readonly named: string;
    readonly tail: string;
    readonly form: ArgumentsForm;
  },
): CallForm["object"] | undefined {
  if (form.type !== "json" || !/^\s*[},]/.test(tail)) return undefined;
  if (/\{\s*"$/.test(lead) && /^"\s*:\s*$/.test(named)) return "keyed";
  const name = /"([^"]+)"\s*:\s*"$/.exec(lead)?.[1];
  const input = /"([^"]+)"\s*:\s*$/.exec(named)?.[1];
  return name === undefined || input === undefined ? undefined : { name, input };
}

function sortsArguments(probe: CallProbe): boolean {
  const input = { [PROBE.secondKey]: PROBE.secondValue, [PROBE.key]: PROBE.value };
  const units = probe.turn([{ ...ONE_CALL, input }]) ?? [];
  const keyAt = units.findIndex((unit) => isHole(unit, "key"));
  return keyAt >= 0 && keyAt < units.findIndex((unit) => isHole(unit, "secondKey"));
}

/** Key for the call id that the template writes only once the result is known. */
function laterId(probe: CallProbe): { optionalId?: string } {
  const text = probe.answer([[ONE_CALL]], { answered: true }) ?? "";
  const pattern = new RegExp(`"${PROBE.value}"\\s*\\}\\s*,\\s*"(\\w+)":\\s*"${PROBE.id}"`);
  const key = pattern.exec(text)?.[1];
  return key === undefined ? {} : { optionalId: key };
}

/** Format of call ids that the template accepts and matches results by. */
function idsOf(probe: CallProbe): IdForm {
  const { ids } = probe.form;
  if (ids !== "any") return ids;
  // For templates that name a call by function and number, and its result by the given id.
  const text = probe.answer([[ONE_CALL], [OTHER_CALL]], { answered: true }) ?? "";
  const number = new RegExp(`functions\\.${PROBE.other}:(\\d+)`).exec(text)?.[1];
  if (number !== undefined && text.includes(PROBE.id)) return number === "0" ? "renumbered" : "numbered";
  const accepts = (id: string): boolean =>
    probe.answer([[{ ...ONE_CALL, id }]], { answered: true, prompt: true }) !== undefined;
  return accepts(PROBE.id) && !accepts("tc-1") ? "short" : "any";
}

/** First token between a call and its result, if no end token lies between them. */
function endsOf(probe: CallProbe): string[] {
  const { specials, isEnd } = probe.prober;
  const called = probe.answer([[ONE_CALL]], { answered: false });
  const answered = probe.answer([[ONE_CALL]], { answered: true });
  if (called === undefined || answered === undefined || !answered.startsWith(called)) return [];
  if (specials.units(called).slice(-3).some(isEnd)) return [];
  const next = specials.units(answered.slice(called.length)).find((unit) => unit.trim() !== "");
  return next === undefined || specials.get(next) === undefined ? [] : [next];
}

function partsOf(probe: CallProbe, units: readonly Unit[]): CallPart[] {
  const parts: CallPart[] = [];
  let text: Unit[] = [];
  const flush = (): void => {
    if (text.length > 0) parts.push({ type: "text", text: probe.literal(text) });
    text = [];
  };
  for (const unit of units) {
    if (typeof unit === "string" && !isNumber(unit)) {
      text.push(unit);
      continue;
    }
    flush();
    if (typeof unit === "string") parts.push({ type: "index" });
    else if (unit.hole === "name" || unit.hole === "id") parts.push({ type: unit.hole });
  }
  flush();
  return parts;
}
