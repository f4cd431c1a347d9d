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
  /** Absent: the other parts are always whole. */
  readonly extra?: readonly ExtraText[] | undefined;
}

interface Filling {
  readonly model: TokenizingModel;
  readonly infill: InfillTokens;
  /** How many tokens the prompt may have. */
  readonly room: number;
}

/** What a project and files without a name are called, and the file that is filled in. */
const PROJECT = "myproject\n";
const UNNAMED = "tmp";
const OWN_FILE = "filename\n";
/** Between texts, for models that do not mark files. */
const BETWEEN = "\n\n--- snippet ---\n\n";
/** A text of more characters per token does not occur: what is further away is not read. */
const CHARACTERS_PER_TOKEN = 32;
/** Tokens that mark the parts. */
const MARKS = 3;
/** Share of the room that what follows may take from what is before. */
const AFTER_SHARE = 1 / 4;

/**
 * Tokens of the prompt. With extra texts, what is nearest to the answer is kept where there is no room for all: the end
 * of what is before, the beginning of what follows, and the last of the extra texts, of the first of these its end.
 */
export function* infillTokens({ before, after, extra }: InfillParts, filling: Filling): Work<Int32Array> {
  const { model, infill, room } = filling;
  const isWhole = extra === undefined;
  const opening = model.addsBos && model.named.BOS >= 0 ? [model.named.BOS] : [];
  const left = Math.max(0, room - opening.length - MARKS);
  const nearest = left * CHARACTERS_PER_TOKEN;
  const first: number[] = [];
  for (const part of before) {
    if (typeof part === "number") first.push(part);
    else yield* append(first, model, isWhole ? part : lastOf(part, nearest));
    yield;
  }
  const last: number[] = [];
  yield* append(last, model, isWhole ? after : after.slice(0, nearest));
  const kept = isWhole ? last : last.slice(0, Math.max(left - first.length, Math.floor(left * AFTER_SHARE)));
  const main = [
    infill.prefix,
    ...isWhole ? first : lastOf(first, left - kept.length),
    infill.suffix,
    ...kept,
    infill.middle,
  ];
  const found = isWhole || extra.length === 0
    ? []
    : yield* extraTokens(extra, { ...filling, room: room - opening.length - main.length });
  return Int32Array.from([...opening, ...found, ...main]);
}

function* extraTokens(
  extra: readonly ExtraText[],
  { model, infill: { project, file }, room }: Filling,
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
    yield* append(texts, model, lastOf(text, left * CHARACTERS_PER_TOKEN));
    kept.push([...tokens, ...lastOf(texts, left)]);
    left -= texts.length;
    yield;
    if (left <= 0) break;
  }
  return kept.length === 0 ? [] : [...head, ...kept.toReversed().flat(), ...own];
}

/** At most so many at the end. */
function lastOf<Sequence extends string | number[]>(sequence: Sequence, count: number): Sequence {
  return sequence.slice(Math.max(0, sequence.length - count)) as Sequence;
}

/** Appends the tokens of a text, behind a mark where there is one. */
function* append(to: number[], model: TokenizingModel, text: string, mark?: number): Work<void> {
  if (mark !== undefined) to.push(mark);
  for (const token of yield* tokensOf(model, text, false)) to.push(token);
}
