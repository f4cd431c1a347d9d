/**
 * How a family writes calls, read off what its chat template makes of calls in the history: of one and of two, with
 * one argument and with two, and with arguments of each type.
 */
import { argumentsOf } from "./argument_form.ts";
import { CallProbe, ONE_CALL, OTHER_CALL } from "./call_probe.ts";
import type { ArgumentsForm, CallForm, CallPart, IdForm } from "../dialect/dialect.ts";
import { type Marker, textOf } from "../dialect/marker.ts";
import type { MessageForm } from "../render/messages.ts";
import { PROBE, type Prober } from "./prober.ts";
import type { Traits } from "./traits.ts";
import { isHole, isNumber, sharedPrefix, sharedSuffix, textUnits, trimmedStart, type Unit } from "./units.ts";

/** What was found out about calls. */
export interface CallTraits {
  readonly form: MessageForm;
  /** Absent where the template renders none, or none that can be distinguished. */
  readonly call?: CallForm;
  /** Tokens that end an answer with calls, where the vocabulary does not say so. */
  readonly ends: readonly string[];
}

/**
 * Find out how calls are written.
 *
 * @param traits What is known of the template already.
 */
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

/** Forms of messages with calls, the usual one first. */
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
  const { sectionOpen, between, tail } = parts;
  const start = trimmedStart([...sectionOpen, ...parts.lead]);
  // A message says itself whom it is for: its first line is the name, and a sign comes before further ones.
  const recipient = start.length === 0 && textUnits(named).trim() === "" && between.length > 0;
  if (start.length === 0 && !recipient) return undefined;
  const object = objectOf({ lead: textUnits(parts.lead), named: textUnits(named), tail: textUnits(tail), form });
  const bare = recipient || object !== undefined && textUnits(start).startsWith("{");
  const marker = bare ? [] : markerOf(probe, start);
  const own = trimmedStart(parts.lead);
  // Space before a call is between it and what comes before.
  const space = parts.lead.slice(0, parts.lead.length - own.length);
  const head = sectionOpen.length === 0 ? own : parts.lead;
  return {
    marker,
    ...unmarkedOf(marker, start),
    sectionOpen: literal(probe, trimmedStart(sectionOpen)),
    head: partsOf(probe, [...head, ...named]),
    arguments: form,
    tail: partsOf(probe, tail),
    between: literal(probe, sectionOpen.length === 0 ? [...between, ...space] : between),
    sectionClose: literal(probe, parts.sectionClose),
    several: parts.several,
    ...(object === undefined ? {} : { object }),
    ...(recipient ? { recipient } : {}),
    ...(sortsArguments(probe) ? { sorted: true } : {}),
    ...(object === undefined || one.some((unit) => isHole(unit, "id")) ? {} : laterId(probe)),
    ids: idsOf(probe),
  };
}

/** What comes after the last argument belongs to the answer only up to where a turn ends. */
function withoutEnd({ prober: { specials }, traits }: CallProbe, units: Unit[]): Unit[] {
  const after = specials.units(traits.afterText);
  const length = sharedSuffix(after, units);
  const first = after.at(-length) ?? "";
  // A tag is not cut in two.
  const whole = length === after.length || specials.isTag(first) || first.trim() === "";
  return length > 0 && whole ? units.slice(0, units.length - length) : units;
}

interface Separated {
  readonly sectionOpen: readonly Unit[];
  /** What comes before the name of each call. */
  readonly lead: readonly Unit[];
  readonly tail: readonly Unit[];
  readonly between: readonly Unit[];
  readonly sectionClose: readonly Unit[];
  readonly several: boolean;
}

/** Tell what is before, between and after calls by what follows the arguments of the first of two. */
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

/** The marker calls begin with, of all that comes before the first name. */
function markerOf({ prober: { specials }, traits }: CallProbe, start: readonly Unit[]): Marker {
  const holeAt = start.findIndex((unit) => typeof unit !== "string");
  const units = start.slice(0, holeAt < 0 ? start.length : holeAt) as string[];
  const [first = ""] = units;
  const text = units.join("");
  // Up to where the first call's own JSON or list begins.
  const own = text.search(/[{[]\s*["{]/);
  const before = (own > 0 ? text.slice(0, own) : text).trimEnd();
  // A word is a marker only with the bracket behind it.
  const whole = specials.marker(own > 0 && /^\w+$/.test(before) ? text.slice(0, own + 1) : before);
  // What ends an answer, or begins something else too, does not say that a call comes.
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

/** The keys of a call that is one JSON object. */
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

/** Whether the template puts arguments in the order of their names. */
function sortsArguments(probe: CallProbe): boolean {
  const input = { [PROBE.secondKey]: PROBE.secondValue, [PROBE.key]: PROBE.value };
  const units = probe.turn([{ ...ONE_CALL, input }]) ?? [];
  const keyAt = units.findIndex((unit) => isHole(unit, "key"));
  return keyAt >= 0 && keyAt < units.findIndex((unit) => isHole(unit, "secondKey"));
}

/** A key for the call's id that only calls with results have. */
function laterId(probe: CallProbe): { optionalId?: string } {
  const text = probe.answer([[ONE_CALL]], { answered: true }) ?? "";
  const pattern = new RegExp(`"${PROBE.value}"\\s*\\}\\s*,\\s*"(\\w+)":\\s*"${PROBE.id}"`);
  const key = pattern.exec(text)?.[1];
  return key === undefined ? {} : { optionalId: key };
}

/** Which ids the template takes, and results are known by. */
function idsOf(probe: CallProbe): IdForm {
  const { ids } = probe.form;
  if (ids !== "any") return ids;
  // Where a call is named by function and number, and its result by the id that is given.
  const text = probe.answer([[ONE_CALL], [OTHER_CALL]], { answered: true }) ?? "";
  const number = new RegExp(`functions\\.${PROBE.other}:(\\d+)`).exec(text)?.[1];
  if (number !== undefined && text.includes(PROBE.id)) return number === "0" ? "renumbered" : "numbered";
  const accepts = (id: string): boolean =>
    probe.answer([[{ ...ONE_CALL, id }]], { answered: true, prompt: true }) !== undefined;
  return accepts(PROBE.id) && !accepts("tc-1") ? "short" : "any";
}

/** What separates calls from their results, if nothing in it ends an answer: its first token does. */
function endsOf(probe: CallProbe): string[] {
  const { specials, isEnd } = probe.prober;
  const called = probe.answer([[ONE_CALL]], { answered: false });
  const answered = probe.answer([[ONE_CALL]], { answered: true });
  if (called === undefined || answered === undefined || !answered.startsWith(called)) return [];
  if (specials.units(called).slice(-3).some(isEnd)) return [];
  const next = specials.units(answered.slice(called.length)).find((unit) => unit.trim() !== "");
  return next === undefined || specials.get(next) === undefined ? [] : [next];
}

function literal({ prober }: CallProbe, units: readonly Unit[]): Marker {
  return prober.specials.marker(textUnits(units));
}

function partsOf(probe: CallProbe, units: readonly Unit[]): CallPart[] {
  const parts: CallPart[] = [];
  let text: Unit[] = [];
  const flush = (): void => {
    if (text.length > 0) parts.push({ type: "text", text: literal(probe, text) });
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
