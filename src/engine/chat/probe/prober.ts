/** Probe conversations of unique words, and how a template renders them. */
import type { Tool } from "../../../inference/request.ts";
import { type Rendered, TemplateError } from "../../jinja/template.ts";
import type { SpecialTokens } from "../dialect/marker.ts";
import { finish } from "../../../work/work.ts";
import { type MessageForm, type Turn, USUAL_FORM } from "../render/messages.ts";
import { type Renderer, type Rendering, renderJoined } from "../render/renderer.ts";

/** Words that no template contains. */
export const PROBE = {
  user: "zqasked",
  said: "zqsaid",
  thought: "zqthought",
  result: "zqresult",
  name: "zqname",
  other: "zqother",
  key: "zqkey",
  value: "zqvalue",
  secondKey: "zqsecond",
  secondValue: "zqafter",
  id: "zqcall001",
  otherId: "zqcall002",
} as const;

export const PROBE_TOOLS: readonly Tool[] = [PROBE.name, PROBE.other].map((name) => ({
  name,
  description: "A probe",
  inputSchema: {
    type: "object",
    properties: { [PROBE.key]: { type: "string" }, [PROBE.secondKey]: { type: "string" } },
    required: [PROBE.key],
  },
}));

export const USER: Turn = { role: "user", text: PROBE.user };

export class Prober {
  readonly renderer: Renderer;
  readonly specials: SpecialTokens;
  readonly isEnd: (name: string) => boolean;

  constructor(renderer: Renderer, specials: SpecialTokens, isEnd: (name: string) => boolean) {
    this.renderer = renderer;
    this.specials = specials;
    this.isEnd = isEnd;
  }

  /** Rendered text; `undefined` if the template rejects the conversation. */
  render(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): string | undefined {
    return this.rendered(rendering)?.text;
  }

  /** Like {@linkcode Prober.render}, with the ranges that came from the conversation. */
  rendered(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): Rendered | undefined {
    try {
      return finish(renderJoined(this.renderer, { form: USUAL_FORM, ...rendering }));
    } catch (error) {
      if (error instanceof TemplateError) return undefined;
      throw error;
    }
  }

  /** Rendered text after the last user message. */
  answer(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): string | undefined {
    const text = this.render(rendering);
    const at = text?.lastIndexOf(PROBE.user) ?? -1;
    return text === undefined || at < 0 ? undefined : text.slice(at + PROBE.user.length);
  }
}

export function commonPrefix<T>(a: ArrayLike<T>, b: ArrayLike<T>): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Without whitespace units at either end. */
export function trimmed(units: readonly string[]): string[] {
  let from = 0;
  let to = units.length;
  while (from < to && (units[from] as string).trim() === "") from++;
  while (to > from && (units[to - 1] as string).trim() === "") to--;
  return units.slice(from, to);
}
