/** Small conversations of words that no template writes, and what a template makes of them. */
import type { Tool } from "../../../inference/request.ts";
import { type Rendered, TemplateError } from "../../jinja/template.ts";
import type { SpecialTokens } from "../dialect/marker.ts";
import { finish } from "../../../work/work.ts";
import { type MessageForm, type Turn, USUAL_FORM } from "../render/messages.ts";
import { type Renderer, type Rendering, renderJoined } from "../render/renderer.ts";

/** Words that no template writes. */
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

/** What templates are tried with. */
export const PROBE_TOOLS: readonly Tool[] = [PROBE.name, PROBE.other].map((name) => ({
  name,
  description: "A probe",
  inputSchema: {
    type: "object",
    properties: { [PROBE.key]: { type: "string" }, [PROBE.secondKey]: { type: "string" } },
    required: [PROBE.key],
  },
}));

/** The question. */
export const USER: Turn = { role: "user", text: PROBE.user };

/** Renders probes. */
export class Prober {
  readonly renderer: Renderer;
  readonly specials: SpecialTokens;
  readonly isEnd: (name: string) => boolean;

  constructor(renderer: Renderer, specials: SpecialTokens, isEnd: (name: string) => boolean) {
    this.renderer = renderer;
    this.specials = specials;
    this.isEnd = isEnd;
  }

  /** What a conversation becomes; `undefined` if the template refuses it. */
  render(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): string | undefined {
    return this.rendered(rendering)?.text;
  }

  /** The same with what came from the conversation. */
  rendered(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): Rendered | undefined {
    try {
      return finish(renderJoined(this.renderer, { form: USUAL_FORM, ...rendering }));
    } catch (error) {
      if (error instanceof TemplateError) return undefined;
      throw error;
    }
  }

  /** From the last user message on. */
  answer(rendering: Omit<Rendering, "form"> & { readonly form?: MessageForm }): string | undefined {
    const text = this.render(rendering);
    const at = text?.lastIndexOf(PROBE.user) ?? -1;
    return text === undefined || at < 0 ? undefined : text.slice(at + PROBE.user.length);
  }
}

/** How many units two texts begin with. */
export function commonPrefix<T>(a: ArrayLike<T>, b: ArrayLike<T>): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

/** Without space at both ends. */
export function trimmed(units: readonly string[]): string[] {
  let from = 0;
  let to = units.length;
  while (from < to && (units[from] as string).trim() === "") from++;
  while (to > from && (units[to - 1] as string).trim() === "") to--;
  return units.slice(from, to);
}
