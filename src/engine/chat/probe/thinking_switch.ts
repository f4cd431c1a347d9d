/**
 * What switches thinking: variables of the template, or words in the system message. Found by rendering a question with
 * each that the template's text speaks of.
 */
import type { MessageForm, Turn } from "../render/messages.ts";
import { type Prober, USER } from "./prober.ts";
import type { Variables } from "../render/renderer.ts";

/** Variables, and what is put into the system message where templates look for a switch there. */
export interface Mood {
  readonly variables: Variables;
  readonly system?: string;
}

/** How thinking is switched; equal where there is no switch. */
export interface Switches {
  readonly on: Mood;
  readonly off: Mood;
}

/** Variables that look as if they switched thinking; those of the history do not change a question's prompt. */
const SWITCH = /\b\w*(?:think|reason)\w*\b/gi;
/** Variables that take more than yes and no. */
const GRADED = /budget|effort|mode|strength|level/i;
/** Values of variables that are words, the likeliest first. */
const OFF_WORDS = ["none", "no_think", "nothink", "disabled", "disable", "off", "low", "minimal"];
const ON_WORDS = ["enabled", "enable", "on", "high", "medium", "max"];
/** And of one that some templates print whatever its value, and others have degrees of thinking for. */
const EFFORT = { name: "reasoning_effort", off: "low", on: "high" } as const;

/**
 * Find the switch of a template.
 *
 * @returns Equal moods where there is none.
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

/** Whether a template has a word as a string. */
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
  const effective = (word: string): boolean => {
    const asked = ask({ [name]: word });
    return asked !== undefined;
  };
  const off = OFF_WORDS.find((word) => written(word) && effective(word)) ??
    (name === EFFORT.name && effective(EFFORT.off) ? EFFORT.off : undefined);
  const mood = (value: string | undefined): Mood => ({ variables: value === undefined ? {} : { [name]: value } });
  if (off === undefined) {
    // No thought is usual, and a word asks for one.
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
