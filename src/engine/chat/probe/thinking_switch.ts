/**
 * Detects what switches thinking: template variables, or words in the system message. Renders a question with each
 * candidate that occurs in the template.
 */
import type { MessageForm, Turn } from "../render/messages.ts";
import { type Prober, USER } from "./prober.ts";
import type { Variables } from "../render/renderer.ts";

/** Template variables and system message text that select thinking or no thinking. */
export interface Mood {
  readonly variables: Variables;
  readonly system?: string;
}

/** Settings for thinking on and off; equal if the template has no switch. */
export interface Switches {
  readonly on: Mood;
  readonly off: Mood;
}

/**
 * Matches variables that may switch thinking; those that only affect the history leave the prompt of a single question
 * unchanged.
 */
const SWITCH = /\b\w*(?:think|reason)\w*\b/gi;
/** Variables with more than two values. */
const GRADED = /budget|effort|mode|strength|level/i;
/** String values of such variables, most likely first. */
const OFF_WORDS = ["none", "no_think", "nothink", "disabled", "disable", "off", "low", "minimal"];
const ON_WORDS = ["enabled", "enable", "on", "high", "medium", "max"];
/** Printed verbatim by some templates, a scale of effort in others. */
const EFFORT = { name: "reasoning_effort", off: "low", on: "high" } as const;

/**
 * Detect the thinking switch of a template.
 *
 * @returns Equal settings if there is none.
 */
export function switchesOf(prober: Prober, form: MessageForm): Switches {
  const { source } = prober.renderer;
  const names = [...new Set(source.match(SWITCH) ?? [])];
  const ask = (variables: Variables, system?: string): string | undefined => {
    const turns: Turn[] = system === undefined ? [USER] : [{ role: "system", text: system }, USER];
    return prober.render({ turns, prompt: true, form, variables });
  };
  const usual = ask({});
  const flags = names.filter((name) => {
    if (GRADED.test(name)) return false;
    const [on, off] = [ask({ [name]: true }), ask({ [name]: false })];
    return on !== undefined && off !== undefined && on !== off;
  });
  if (flags.length > 0) {
    const all = (value: boolean): Variables => Object.fromEntries(flags.map((name) => [name, value]));
    const effort = names.includes(EFFORT.name) && isWritten(source, EFFORT.on) ? { [EFFORT.name]: EFFORT.on } : {};
    const asked = ask({ ...all(true), ...effort });
    return {
      on: { variables: asked === undefined ? all(true) : { ...all(true), ...effort } },
      off: { variables: all(false) },
    };
  }
  for (const name of names) {
    const found = wordSwitch(name, { source, ask, usual }) ?? budgetSwitch(name, { ask, usual });
    if (found !== undefined) return found;
  }
  for (const [off, on] of [["/no_think", "/think"], ["/nothink", "/think"]] as const) {
    if (!source.includes(off)) continue;
    const [without, asked] = [ask({}, ""), ask({}, off)];
    if (without === undefined || asked === undefined || without === asked) continue;
    const thinks = without === ask({}, on);
    return { on: thinks ? { variables: {} } : { variables: {}, system: on }, off: { variables: {}, system: off } };
  }
  return { on: { variables: {} }, off: { variables: {} } };
}

/** Whether the template contains the word as a string literal. */
function isWritten(source: string, word: string): boolean {
  return source.includes(`"${word}"`) || source.includes(`'${word}'`);
}

interface SwitchProbe {
  readonly ask: (variables: Variables) => string | undefined;
  readonly usual: string | undefined;
}

function wordSwitch(
  name: string,
  { source, ask, usual }: SwitchProbe & { readonly source: string },
): Switches | undefined {
  const written = (word: string): boolean => isWritten(source, word);
  const effective = (word: string): boolean => ask({ [name]: word }) !== undefined;
  const off = OFF_WORDS.find((word) => written(word) && effective(word)) ??
    (name === EFFORT.name && effective(EFFORT.off) ? EFFORT.off : undefined);
  const mood = (value: string | undefined): Mood => ({ variables: value === undefined ? {} : { [name]: value } });
  if (off === undefined) {
    // Thinking is off by default and switched on by a word.
    const on = ON_WORDS.find((word) => written(word) && effective(word) && ask({ [name]: word }) !== usual);
    return on === undefined ? undefined : { on: mood(on), off: mood(undefined) };
  }
  const asked = ask({ [name]: off });
  if (name === EFFORT.name && written(EFFORT.on) && effective(EFFORT.on)) {
    return { on: mood(EFFORT.on), off: mood(off) };
  }
  if (asked !== usual) return { on: mood(undefined), off: mood(off) };
  const on = [...ON_WORDS.filter(written), EFFORT.on].find((word) =>
    effective(word) && ask({ [name]: word }) !== asked
  );
  return on === undefined ? undefined : { on: mood(on), off: mood(off) };
}

function budgetSwitch(name: string, { ask, usual }: SwitchProbe): Switches | undefined {
  if (!name.includes("budget")) return undefined;
  const off = ask({ [name]: 0 });
  return off === undefined || off === usual ? undefined : { on: { variables: {} }, off: { variables: { [name]: 0 } } };
}
