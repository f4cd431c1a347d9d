/** Detects what surrounds the text of an answer, what follows it, and what ends it. */
import type { TextFrame, ThoughtForm } from "../dialect/dialect.ts";
import { type Marker, type SpecialTokens, textOf } from "../dialect/marker.ts";
import type { MessageForm, Turn } from "../render/messages.ts";
import { commonPrefix, PROBE, type Prober, trimmed, USER } from "./prober.ts";
import type { Mood, Switches } from "./thinking_switch.ts";
import { withControlNames } from "../dialect/control_text.ts";

/** Markers around the text of an answer, the text after it, and its end markers. */
export function frameOf(
  prober: Prober,
  { form, switches, thought }: {
    readonly form: MessageForm;
    readonly switches: Switches;
    readonly thought: ThoughtForm | undefined;
  },
): { readonly text: TextFrame; readonly afterText: string; readonly ends: readonly string[] } {
  const { specials, isEnd } = prober;
  const said: readonly Turn[] = [USER, { role: "assistant", text: PROBE.said }];
  const { variables } = switches.off;
  const text = prober.answer({ turns: said, prompt: false, form, variables }) ?? "";
  const at = text.indexOf(PROBE.said);
  const after = specials.units(at < 0 ? "" : text.slice(at + PROBE.said.length));
  const end = after.findIndex((unit) => isEnd(unit));
  const tags = trimmed(after.slice(0, end < 0 ? 0 : end));
  const first = after.find((unit) => specials.isTag(unit));
  const opens = [switches.off, switches.on].flatMap((mood) => {
    const lead = leadOf(prober, { form, mood, turns: said, thought });
    return lead.some((unit) => specials.isTag(unit)) || lead.length > 0 && isRecipient(lead) ? [lead.join("")] : [];
  });
  const closes = tags.some((unit) => specials.isTag(unit)) ? repeated(tags) : [];
  // If no end token ends the answer: the first tag after it, or the start of the next turn.
  let ends = end >= 0 || first === undefined ? [] : [first];
  if (end < 0 && first === undefined) {
    const turns: Turn[] = [...said, { role: "user", text: PROBE.result }];
    const rest = prober.render({ turns, prompt: false, form, variables }) ?? "";
    const from = rest.indexOf(PROBE.said);
    const between = from < 0 ? "" : rest.slice(from + PROBE.said.length, rest.indexOf(PROBE.result, from));
    const tag = specials.units(between).find((unit) => specials.isTag(unit));
    ends = tag !== undefined ? [tag] : between.trim() === "" ? [] : [between.trimStart()];
  }
  return {
    text: {
      opens: [...new Set(opens)].map((text) => specials.marker(text)),
      closes: closes.map((text) => specials.marker(text)),
    },
    afterText: after.join(""),
    ends,
  };
}

/** Units between the prompt and the answer's text, without an empty thought. */
function leadOf(
  prober: Prober,
  { form, mood, turns, thought }: {
    readonly form: MessageForm;
    readonly mood: Mood;
    readonly turns: readonly Turn[];
    readonly thought: ThoughtForm | undefined;
  },
): string[] {
  const { specials } = prober;
  const { variables } = mood;
  const text = prober.answer({ turns, prompt: false, form, variables }) ?? "";
  const prompt = specials.units(prober.answer({ turns: [USER], prompt: true, form, variables }) ?? "");
  const before = specials.units(text.slice(0, Math.max(text.indexOf(PROBE.said), 0)));
  const shared = commonPrefix(before, prompt);
  return shared < prompt.length ? [] : withoutThought(trimmed(before.slice(shared)), thought, specials);
}

function withoutThought(
  units: readonly string[],
  thought: ThoughtForm | undefined,
  specials: SpecialTokens,
): string[] {
  const markers = thought === undefined ? [] : [...(thought.open === undefined ? [] : [thought.open]), thought.close];
  let rest = [...units];
  for (let found = true; found;) {
    found = false;
    for (const marker of markers) {
      const own = specials.units(withControlNames(textOf(marker)));
      const at = trimmed(rest);
      if (own.length === 0 || commonPrefix(own, at) < own.length) continue;
      rest = trimmed(at.slice(own.length));
      found = true;
    }
  }
  return rest;
}

/** A single word as header names the message's recipient (Functionary). */
function isRecipient(units: readonly string[]): boolean {
  return /^[a-z]+$/.test(units.join(""));
}

/** Splits units before each repetition of the first one. */
function repeated(units: readonly string[]): string[] {
  const parts: string[] = [];
  for (const [index, unit] of units.entries()) {
    if (index === 0 || unit === units[0]) parts.push(unit);
    else parts[parts.length - 1] += unit;
  }
  return parts.map((part) => part.trim());
}

/** Markers between a thought and the text after it if that is a new message; calls share only their beginning. */
export function framesAfter(
  prober: Prober,
  { form, switches, thought, opens }: {
    readonly form: MessageForm;
    readonly switches: Switches;
    readonly thought: ThoughtForm;
    readonly opens: readonly Marker[];
  },
): Marker[] {
  if (form.thoughts === undefined) return [];
  const { specials } = prober;
  const turns: Turn[] = [USER, { role: "assistant", text: PROBE.said, thinking: PROBE.thought }];
  const text = prober.answer({ turns, prompt: false, form, variables: switches.on.variables }) ?? "";
  const at = text.indexOf(PROBE.thought);
  const end = text.indexOf(PROBE.said, at);
  if (at < 0 || end < 0) return [];
  const close = withControlNames(textOf(thought.close));
  const between = text.slice(at + PROBE.thought.length, end).trimStart();
  const rest = trimmed(specials.units(between.startsWith(close) ? between.slice(close.length) : ""));
  if (!rest.some((unit) => specials.isTag(unit))) return [];
  const whole = rest.join("");
  const own = opens.map((open) => withControlNames(textOf(open))).find((open) =>
    whole !== open && whole.endsWith(open)
  );
  const header = own === undefined ? "" : whole.slice(0, -own.length).trim();
  return [whole, header].filter((text) => text !== "").map((text) => specials.marker(text));
}
