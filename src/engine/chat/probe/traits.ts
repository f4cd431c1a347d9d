/**
 * What a chat template wants and has, found by rendering small conversations with it: the form of messages, what
 * switches thinking, where a reasoning trace is shown, and what surrounds it and the text of an answer.
 */
import type { TextFrame, ThoughtForm } from "../dialect/dialect.ts";
import { type MessageForm, USUAL_FORM } from "../render/messages.ts";
import { type Prober, USER } from "./prober.ts";
import { frameOf, framesAfter } from "./text_frame.ts";
import { type Switches, switchesOf } from "./thinking_switch.ts";
import { spokenThought, thoughtFieldOf, thoughtOf } from "./thought_form.ts";

/** What was found out about a template. */
export interface Traits {
  readonly form: MessageForm;
  /** What asks the model to think, and not to. */
  readonly switches: Switches;
  readonly thought: ThoughtForm | undefined;
  readonly text: TextFrame;
  /** Ends an answer, where the vocabulary does not say so: the first token after a text. */
  readonly ends: readonly string[];
  /** Follows a text, up to where the answer ends. */
  readonly afterText: string;
}

/**
 * Find out about a template.
 *
 * @returns Everything, or `undefined` if it cannot render a simple question.
 */
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

/** What messages without calls have to look like. */
function baseForm(prober: Prober): MessageForm | undefined {
  for (const noTools of [null, []] as const) {
    for (const content of ["string", "parts"] as const) {
      const form: MessageForm = { ...USUAL_FORM, content, noTools };
      if (prober.answer({ turns: [USER], prompt: true, form }) !== undefined) return form;
    }
  }
  return undefined;
}
