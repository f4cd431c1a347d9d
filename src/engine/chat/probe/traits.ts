/**
 * Traits of a chat template, detected by rendering short conversations: message form, thinking switch, where reasoning
 * traces appear, and what surrounds them and the answer's text.
 */
import type { TextFrame, ThoughtForm } from "../dialect/dialect.ts";
import { type MessageForm, USUAL_FORM } from "../render/messages.ts";
import { type Prober, USER } from "./prober.ts";
import { frameOf, framesAfter } from "./text_frame.ts";
import { type Switches, switchesOf } from "./thinking_switch.ts";
import { spokenThought, thoughtFieldOf, thoughtOf } from "./thought_form.ts";

export interface Traits {
  readonly form: MessageForm;
  readonly switches: Switches;
  readonly thought: ThoughtForm | undefined;
  readonly text: TextFrame;
  /** Tokens that end an answer although the vocabulary does not mark them: the first one after a text. */
  readonly ends: readonly string[];
  /** Text between an answer's text and the end of the answer. */
  readonly afterText: string;
}

/** @returns `undefined` if it cannot render a simple question. */
export function traitsOf(prober: Prober): Traits | undefined {
  const base = baseForm(prober);
  if (base === undefined) return undefined;
  const switches = switchesOf(prober, base);
  const field = thoughtFieldOf(prober, { ...base, thoughts: undefined }, switches);
  const form: MessageForm = { ...base, thoughts: field?.field };
  const shown = field === undefined ? undefined : thoughtOf(prober, { form, switches, turns: field.turns });
  const thought = shown ?? spokenThought(prober, form, switches);
  const { text, afterText, ends } = frameOf(prober, { form, switches, thought });
  const opens = thought === undefined
    ? text.opens
    : [...text.opens, ...framesAfter(prober, { form, switches, thought, opens: text.opens })];
  return { form, switches, thought, text: { ...text, opens }, ends, afterText };
}

function baseForm(prober: Prober): MessageForm | undefined {
  for (const noTools of [null, []] as const) {
    for (const content of ["string", "parts"] as const) {
      const form: MessageForm = { ...USUAL_FORM, content, noTools };
      if (prober.answer({ turns: [USER], prompt: true, form }) !== undefined) return form;
    }
  }
  return undefined;
}
