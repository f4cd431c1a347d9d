/**
 * Prompts of models that fill in text. Names of control tokens are text in all of their parts. Texts of other places come
 * first, in the form that models which mark files were trained on; others get a line between them.
 */
import type { ExtraText } from "../../../inference/request.ts";
import type { InfillTokens } from "../../native/infill_tokens.ts";
import type { Work } from "../../../work/work.ts";
import { type TokenizingModel, tokensOf } from "./prompt_tokens.ts";

export interface InfillParts {
  readonly before: readonly (string | number)[];
  readonly after: string;
  readonly extra: readonly ExtraText[];
}

/** What a project and files without a name are called, and the file that is filled in. */
const PROJECT = "myproject\n";
const UNNAMED = "tmp";
const OWN_FILE = "filename\n";
/** Between texts, for models that do not mark files. */
const BETWEEN = "\n\n--- snippet ---\n\n";
/** A text of more characters per token does not occur: what is before them is not read. */
const CHARACTERS_PER_TOKEN = 32;

/**
 * Tokens of the prompt.
 *
 * @param room How many tokens it may have with the extra texts, of which the last ones are kept, and of the first of
 * these its end. The other parts are always whole.
 */
export function* infillTokens(
  { before, after, extra }: InfillParts,
  { model, infill, room }: { readonly model: TokenizingModel; readonly infill: InfillTokens; readonly room: number },
): Work<Int32Array> {
  const opening = model.addsBos && model.named.BOS >= 0 ? [model.named.BOS] : [];
  const main: number[] = [infill.prefix];
  for (const part of before) {
    if (typeof part === "number") main.push(part);
    else yield* append(main, model, part);
    yield;
  }
  main.push(infill.suffix);
  yield* append(main, model, after);
  main.push(infill.middle);
  const found = extra.length === 0
    ? []
    : yield* extraTokens(extra, { model, infill, room: room - opening.length - main.length });
  return Int32Array.from([...opening, ...found, ...main]);
}

function* extraTokens(
  extra: readonly ExtraText[],
  { model, infill: { project, file }, room }: Parameters<typeof infillTokens>[1],
): Work<number[]> {
  const head: number[] = [];
  if (project !== undefined) yield* append(head, model, PROJECT, project);
  const own: number[] = [];
  if (file !== undefined) yield* append(own, model, OWN_FILE, file);
  let left = room - head.length - own.length;
  const kept: number[][] = [];
  for (const { filename = UNNAMED, text } of extra.toReversed()) {
    const tokens: number[] = [];
    if (file === undefined) yield* append(tokens, model, BETWEEN);
    else yield* append(tokens, model, `${filename}\n`, file);
    left -= tokens.length;
    if (left <= 0) break;
    const texts: number[] = [];
    yield* append(texts, model, text.slice(-left * CHARACTERS_PER_TOKEN));
    kept.push([...tokens, ...texts.slice(-left)]);
    left -= texts.length;
    yield;
    if (left <= 0) break;
  }
  return kept.length === 0 ? [] : [...head, ...kept.toReversed().flat(), ...own];
}

/** Appends the tokens of a text, behind a mark where there is one. */
function* append(to: number[], model: TokenizingModel, text: string, mark?: number): Work<void> {
  if (mark !== undefined) to.push(mark);
  for (const token of yield* tokensOf(model, text, false)) to.push(token);
}
