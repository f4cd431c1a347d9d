/** An answer that the conversation has begun, behind the thought that comes before every answer. */
import type { Work } from "../../../work/work.ts";
import { type Rendered, TemplateError } from "../../jinja/template.ts";
import type { SpecialTokens } from "../dialect/marker.ts";
import { type Renderer, type Rendering, renderJoined } from "./renderer.ts";

/** How thoughts are written. */
export interface Thoughts {
  /** Ends a thought. */
  readonly close: string;
  /** Whether a prompt for a new answer ends within a thought. */
  isOpen(opening: Rendered): boolean;
  readonly specials: SpecialTokens;
}

/**
 * Templates often leave out a thought that is not there, while a new answer begins behind an empty one, or with one that
 * is open.
 *
 * @param begun The prompt, whose last turn is continued, to the end of that turn's text.
 * @param rendering What it was rendered from.
 * @returns The prompt with that thought, closed; as it is where there is none, or the message has its own.
 */
export function* behindThought(
  begun: Rendered,
  renderer: Renderer,
  { rendering, thoughts }: { readonly rendering: Rendering; readonly thoughts: Thoughts },
): Work<Rendered> {
  const turns = rendering.turns.slice(0, -1);
  if ((turns.at(-1)?.role ?? "assistant") === "assistant") return begun;
  try {
    const opening = yield* renderJoined(renderer, { ...rendering, turns, prompt: true });
    return joined(begun, opening, thoughts);
  } catch (error) {
    if (error instanceof TemplateError) return begun;
    throw error;
  }
}

/** @param opening The prompt for a new answer in place of the one that is begun. */
function joined(begun: Rendered, opening: Rendered, { close, isOpen, specials }: Thoughts): Rendered {
  const asked = opening.input.at(-1) ?? 0;
  const [from = 0, to = 0] = begun.input.slice(-2);
  if (from < asked || !begun.text.startsWith(opening.text.slice(0, asked))) return begun;
  const before = specials.units(begun.text.slice(asked, from));
  const usual = specials.units(opening.text.slice(asked));
  const different = before.findIndex((unit, index) => unit !== usual[index]);
  const shared = different < 0 ? before.length : different;
  const frame = before.slice(shared).join("");
  const opens = isOpen(opening);
  if (frame.includes(close) || !(opens || usual.slice(shared).join("").includes(close))) return begun;
  const head = opening.text + (opens ? `\n${close}\n\n` : "") + frame;
  const said = begun.text.slice(from, to);
  return { text: head + said, input: [...opening.input, head.length, head.length + said.length] };
}
