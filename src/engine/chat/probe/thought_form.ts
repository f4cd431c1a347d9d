/** Detects where a template renders a reasoning trace, and its delimiters. */
import type { ThoughtForm } from "../dialect/dialect.ts";
import type { MessageForm, ThoughtField, Turn } from "../render/messages.ts";
import { commonPrefix, PROBE, PROBE_TOOLS, type Prober, trimmed, USER } from "./prober.ts";
import type { Switches } from "./thinking_switch.ts";

/** Message field that the template reads a reasoning trace from, and a conversation in which it renders one. */
export function thoughtFieldOf(
  prober: Prober,
  form: MessageForm,
  { on }: Switches,
): { readonly field: ThoughtField; readonly turns: readonly Turn[] } | undefined {
  const said: Turn = { role: "assistant", text: PROBE.said, thinking: PROBE.thought };
  const call = { id: PROBE.id, name: PROBE.name, input: { [PROBE.key]: PROBE.value } };
  const calling: Turn = { role: "assistant", text: "", thinking: PROBE.thought, calls: [call] };
  const fields: ThoughtField[] = ["reasoning_content", "reasoning", "thinking", "parts"];
  for (const turns of [[USER, said], [USER, calling, { role: "tool", text: PROBE.result, call } as const]]) {
    for (const field of fields) {
      const text = prober.answer({
        turns,
        prompt: false,
        form: { ...form, thoughts: field },
        variables: on.variables,
        tools: PROBE_TOOLS,
      });
      // A template that prints the content list verbatim also shows the trace.
      if (text?.includes(PROBE.thought) && !/thinking['"]\s*[:,]/.test(text)) return { field, turns };
    }
  }
  return undefined;
}

/** Delimiters of the trace in such a conversation. */
export function thoughtOf(
  prober: Prober,
  { form, switches, turns }: {
    readonly form: MessageForm;
    readonly switches: Switches;
    readonly turns: readonly Turn[];
  },
): ThoughtForm | undefined {
  const { specials } = prober;
  const { variables } = switches.on;
  const text = prober.answer({ turns, prompt: false, form, variables, tools: PROBE_TOOLS }) ?? "";
  const at = text.indexOf(PROBE.thought);
  const before = specials.units(text.slice(0, at));
  const after = specials.units(text.slice(at + PROBE.thought.length));
  const prompt = specials.units(
    prober.answer({ turns: [USER], prompt: true, form, variables, tools: PROBE_TOOLS }) ?? "",
  );
  const shared = commonPrefix(before, prompt);
  let open = trimmed(before.slice(shared));
  if (shared < prompt.length || open.length === 0) {
    // The prompt already opens the thought, or diverges: use the last tag before the trace and the text attached to it.
    const last = before.findLastIndex((unit) => specials.isTag(unit));
    const unit = before[last] ?? "";
    const twin = before.lastIndexOf(unit, last - 1);
    open = trimmed(
      before.slice(twin >= 0 && last - twin < 20 && !specials.isTag(before[last - 1] ?? "") ? twin + 1 : last),
    );
  }
  const first = after.findIndex((unit) => specials.isTag(unit));
  if (open.length === 0 || first < 0) return undefined;
  const tags = open.filter((unit) => specials.isTag(unit));
  const end = tags.length > 1 && specials.isTag(open.at(-1) ?? "") &&
      after.slice(first, first + open.length + 1).includes(open.at(-1) as string)
    ? after.indexOf(open.at(-1) as string, first)
    : first;
  const close = after.slice(first, end + 1);
  return { open: specials.marker(open.join("")), close: specials.marker(close.join("")) };
}

/**
 * Delimiters of thoughts that the template never renders in the history, but opens or closes in the prompt, or
 * mentions.
 */
const SPOKEN = [
  ["<think>", "</think>"],
  ["<thinking>", "</thinking>"],
  ["[THINK]", "[/THINK]"],
  ["<|inner_prefix|>", "<|inner_suffix|>"],
] as const;

/**
 * Families that delimit thoughts with plain words. Apriel starts reasoning after the prompt's last line and ends with
 * this phrase.
 */
const WORDED = [["Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"]] as const;

/** Thought delimiters that the template mentions or writes into the prompt. */
export function spokenThought(prober: Prober, form: MessageForm, { on, off }: Switches): ThoughtForm | undefined {
  const { renderer: { source }, specials } = prober;
  const prompts = [on, off].map(({ variables }) =>
    prober.answer({ turns: [USER], prompt: true, form, variables }) ?? ""
  );
  for (const [open, close] of WORDED) {
    if (source.includes(open) && source.includes(close)) {
      return { open: specials.marker(open), close: specials.marker(close) };
    }
  }
  for (const [open, close] of SPOKEN) {
    if (!source.includes(close) && !prompts.some((prompt) => prompt.includes(open))) continue;
    return { open: specials.marker(open), close: specials.marker(close) };
  }
  return undefined;
}
