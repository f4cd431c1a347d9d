/** Renders calls with a template and extracts the part that the model would write. */
import { withControlNames } from "../dialect/control_text.ts";
import { type Marker, textOf } from "../dialect/marker.ts";
import type { Call, MessageForm, Turn } from "../render/messages.ts";
import { commonPrefix, PROBE, PROBE_TOOLS, type Prober, USER } from "./prober.ts";
import type { Traits } from "./traits.ts";
import { lengthOfSpaced, textUnits, type Unit, unitsBefore, withHoles } from "./units.ts";

export const ONE_CALL: Call = { name: PROBE.name, id: PROBE.id, input: { [PROBE.key]: PROBE.value } };
export const OTHER_CALL: Call = { name: PROBE.other, id: PROBE.otherId, input: { [PROBE.key]: PROBE.value } };

export class CallProbe {
  readonly prober: Prober;
  readonly traits: Traits;
  readonly form: MessageForm;

  constructor(prober: Prober, traits: Traits, form: MessageForm) {
    this.prober = prober;
    this.traits = traits;
    this.form = form;
  }

  /**
   * Render these calls and return the text after the question.
   *
   * @param options.answered Whether results follow; `prompt`: whether to add the generation prompt.
   * @returns `undefined` if the template rejects it.
   */
  answer(
    rounds: readonly (readonly Call[])[],
    { answered, prompt = false }: { readonly answered: boolean; readonly prompt?: boolean },
  ): string | undefined {
    const turns = rounds.flatMap((calls): Turn[] => [
      { role: "assistant", text: "", calls },
      ...(answered ? calls.map((call): Turn => ({ role: "tool", text: PROBE.result, call })) : []),
    ]);
    return this.#render(turns, prompt);
  }

  /** Text the model writes for these calls, from the end of the prompt to the end of the answer. */
  turn(calls: readonly Call[]): Unit[] | undefined {
    const { specials, isEnd } = this.prober;
    // Some templates reject a conversation that ends with a call.
    const text = this.answer([calls], { answered: false }) ??
      this.answer([calls], { answered: true })?.split(PROBE.result, 1)[0];
    const prompt = this.#render([], true);
    if (text === undefined || prompt === undefined) return undefined;
    const called = specials.units(text);
    const asked = specials.units(prompt);
    const said = this.#render([{ role: "assistant", text: PROBE.said }], false)?.split(PROBE.said, 1)[0];
    const spoken = specials.units(said ?? prompt);
    const shared = commonPrefix(called, asked);
    // Some templates space past answers and calls differently from the beginning of an answer.
    const whole = lengthOfSpaced(spoken, asked) === 0
      ? 0
      : shared === asked.length
      ? shared
      : lengthOfSpaced(called, asked);
    let begin = whole > 0 ? whole : Math.min(shared, commonPrefix(called, spoken));
    const before = called.slice(0, begin).join("");
    const open = before.lastIndexOf("<");
    if (open > before.lastIndexOf(">")) begin = unitsBefore(called, open);
    const units = this.#withoutFrames(withHoles(called.slice(begin).join(""), specials));
    const end = units.findIndex((unit) => typeof unit === "string" && isEnd(unit));
    return end < 0 ? units : units.slice(0, end);
  }

  literal(units: readonly Unit[]): Marker {
    return this.prober.specials.marker(textUnits(units));
  }

  #render(turns: readonly Turn[], prompt: boolean): string | undefined {
    const { form, prober, traits } = this;
    const { variables } = traits.switches.off;
    return prober.answer({ turns: [USER, ...turns], prompt, form, variables, tools: PROBE_TOOLS });
  }

  /** Drops an empty thought and an empty text frame before the calls. */
  #withoutFrames(units: Unit[]): Unit[] {
    const { specials } = this.prober;
    const { thought, text } = this.traits;
    const debris = [
      ...(thought?.open === undefined ? [] : [thought.open]),
      ...(thought === undefined ? [] : [thought.close]),
      ...text.closes,
    ]
      .map((marker: Marker) => specials.units(withControlNames(textOf(marker))));
    let rest = units;
    for (let found = true; found;) {
      found = false;
      const begin = rest.findIndex((unit) => typeof unit !== "string" || unit.trim() !== "");
      for (const part of debris) {
        const next = rest.slice(begin, begin + part.length);
        if (part.length === 0 || next.length < part.length || !part.every((unit, at) => unit === next[at])) continue;
        rest = rest.slice(begin + part.length);
        found = true;
        break;
      }
    }
    return rest;
  }
}
