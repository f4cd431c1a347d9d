/** What a model would have to write to say what a conversation says that it said, as its own template has it. */
import type { ChatMessage, ContentBlock, JsonObject, Tool } from "../../src/inference/request.ts";
import { type Chat, type Prompt, PromptError } from "../../src/engine/chat/chat.ts";
import { type Marker, SpecialTokens, textOf } from "../../src/engine/chat/dialect/marker.ts";
import type { TestModel } from "./chat_model.ts";
import { withControlNames } from "../../src/engine/chat/dialect/control_text.ts";

/** A call. */
export type CallSaid = readonly [name: string, input: JsonObject];

/** What an assistant said in one message. */
export interface Said {
  readonly thinking?: string;
  readonly text?: string;
  readonly calls?: readonly CallSaid[];
}

/** How it is replayed. */
export interface ReplayOptions {
  readonly tools: readonly Tool[];
  readonly thinking?: boolean;
}

/** An answer. */
export interface Replay {
  /** What it answers. */
  readonly prompt: Prompt;
  /** What comes before it to end a thought that the prompt has opened and the history does not show. */
  readonly closed: readonly number[];
  /** From the end of the prompt to where the model ends its turn. */
  readonly tokens: readonly number[];
  /** What ends it, if that is a token. */
  readonly end: number | undefined;
}

/** Stands where the results of calls are; no template and no test writes it. */
const RESULT = "zzresult";
export const QUESTION: ChatMessage = { role: "user", content: "What is it?" };

/**
 * What a template makes of something said.
 *
 * @throws {RangeError} If it shows neither the calls nor what follows them.
 */
export function replay(model: TestModel, chat: Chat, said: Said, options: ReplayOptions): Replay {
  const { tools, thinking = false } = options;
  const render = (more: readonly ChatMessage[]): Prompt =>
    chat.render({ messages: [QUESTION, ...more], tools, toolChoice: "auto", thinking });
  const prompt = render([]);
  const { calls = [] } = said;
  const answer: ChatMessage = { role: "assistant", content: blocksOf(said) };
  const results: ChatMessage[] = calls.length === 0
    ? []
    : [{ role: "user", content: calls.map((_, index) => resultOf(index)) }];
  const whole = Array.from(render([answer, ...results]).tokens);
  const { tokens, complete } = afterPrompt(model, prompt.tokens, whole);
  const ends = (token: number): boolean => model.endsAnswer(token) || prompt.endTokens.has(token);
  const result = calls.length === 0 ? tokens.length : placeOf(model, tokens, RESULT);
  if (result < 0) throw new RangeError("The template does not show the result of a call");
  const end = tokens.findIndex((token, at) => at < result && ends(token));
  const last = end < 0 && said.text === undefined
    ? Math.min(result, unanswered(render, { whole, tokens, answer }))
    : end < 0
    ? result
    : end;
  return {
    prompt,
    // Where the history has no thought and the prompt has opened one, the model ends it.
    closed: prompt.start === "thought" && !complete ? closeOf(model, chat) : [],
    tokens: tokens.slice(0, last),
    end: end < 0 ? undefined : tokens[end],
  };
}

/** Where calls end that no token ends: where it makes a difference whether results follow. */
function unanswered(
  render: (more: readonly ChatMessage[]) => Prompt,
  { whole, tokens, answer }: {
    readonly whole: readonly number[];
    readonly tokens: readonly number[];
    readonly answer: ChatMessage;
  },
): number {
  let other: number[];
  try {
    other = Array.from(render([answer]).tokens);
  } catch (error) {
    // Some take no conversation that ends with a call.
    if (error instanceof PromptError) return tokens.length;
    throw error;
  }
  let same = 0;
  while (same < whole.length && whole[same] === other[same]) same++;
  return Math.max(0, same - (whole.length - tokens.length));
}

function closeOf(model: TestModel, { dialect: { thought } }: Chat): number[] {
  return thought === undefined ? [] : tokensOf(model, thought.close);
}

function tokensOf(model: TestModel, marker: Marker): number[] {
  return Array.from(model.tokenize(withControlNames(textOf(marker)), true));
}

/** An answer without a thought that was not thought, and without the frame of a text, at its beginning. */
export function withoutFrames(model: TestModel, chat: Chat, tokens: readonly number[]): number[] {
  const { thought, text } = chat.dialect;
  const markers = [thought?.open, thought?.close, ...text?.opens ?? [], ...text?.closes ?? []]
    .filter((marker): marker is Marker => marker !== undefined)
    .map((marker) => tokensOf(model, marker));
  let rest = [...tokens];
  for (let found = true; found;) {
    found = false;
    while (rest.length > 0 && isSpace(model, rest[0] as number)) rest.shift();
    for (const marker of markers) {
      if (marker.length === 0 || !marker.every((token, at) => rest[at] === token)) continue;
      rest = rest.slice(marker.length);
      found = true;
    }
  }
  return rest;
}

/** Tokens as a parser sees them, one by one. */
export function seenTokens(model: TestModel, tokens: readonly number[]): Uint8Array[] {
  const specials = new SpecialTokens(model.specialTokens);
  const seen = new Map(model.specialTokens.map(({ token, name }) => [token, textOf(specials.marker(name))]));
  return tokens.map((token) => {
    const text = seen.get(token);
    return text === undefined ? model.piece(token) : encoder.encode(text);
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether a token is nothing but space. */
export function isSpace(model: TestModel, token: number): boolean {
  const piece = model.piece(token);
  return piece.length > 0 && decoder.decode(piece).trim() === "";
}

function blocksOf({ thinking, text, calls = [] }: Said): ContentBlock[] {
  return [
    ...(thinking === undefined ? [] : [{ type: "thinking", text: thinking } as const]),
    ...(text === undefined ? [] : [{ type: "text", text } as const]),
    ...calls.map(([name, input], index): ContentBlock => ({ type: "tool_use", toolCallId: idOf(index), name, input })),
  ];
}

function resultOf(index: number): ContentBlock {
  return { type: "tool_result", toolCallId: idOf(index), content: [{ type: "text", text: RESULT }] };
}

function idOf(index: number): string {
  return `call0000${index}`;
}

/**
 * What of a history comes after the prompt: from where they part, but not within a tag. A token that reaches across is
 * cut in two.
 */
function afterPrompt(
  model: TestModel,
  prompt: Int32Array,
  whole: readonly number[],
): { readonly tokens: number[]; readonly complete: boolean } {
  const asked = unitsOf(model, prompt);
  const units = unitsOf(model, whole);
  let begin = 0;
  while (begin < asked.length && asked[begin] === units[begin]) begin++;
  const spaced = begin < asked.length ? spacedOtherwise(asked, units) : begin;
  const complete = spaced !== undefined;
  begin = spaced ?? begin;
  if (!complete) {
    const open = units.findLastIndex((unit, at) =>
      at < begin && (unit >= FIRST_SPECIAL || unit === LESS || unit === MORE)
    );
    if (units[open] === LESS) begin = open;
  }
  let at = 0;
  for (const [index, token] of whole.entries()) {
    const end = at + unitsOf(model, [token]).length;
    if (at >= begin) return { tokens: whole.slice(index), complete };
    if (end > begin) {
      const rest = decoder.decode(Uint8Array.from(units.slice(begin, end)));
      return { tokens: [...model.tokenize(rest, false), ...whole.slice(index + 1)], complete };
    }
    at = end;
  }
  return { tokens: [], complete };
}

/** Where all that the prompt has after the question has come, spaced and introduced in another way. */
function spacedOtherwise(asked: readonly number[], units: readonly number[]): number | undefined {
  const question = encoder.encode(QUESTION.content as string);
  const after = (all: readonly number[]): number =>
    all.findLastIndex((_, at) => question.every((byte, index) => all[at + index] === byte)) + question.length;
  let at = after(units);
  for (const unit of asked.slice(after(asked))) {
    if (unit <= SPACE) continue;
    while ((units[at] ?? Infinity) <= SPACE) at++;
    if (units[at++] !== unit) return undefined;
  }
  return at;
}

const SPACE = 0x20;
const LESS = 0x3c;
const MORE = 0x3e;
const FIRST_SPECIAL = 256;

/** Tokens as bytes, and those that are more than text as they are. */
function unitsOf(model: TestModel, tokens: Iterable<number>): number[] {
  const specials = new Set(model.specialTokens.map(({ token }) => token));
  return Array.from(tokens).flatMap((token) => specials.has(token) ? [token] : [...model.piece(token)]);
}

/** The token in which a text begins to stand; negative where it does not stand. */
function placeOf(model: TestModel, tokens: readonly number[], text: string): number {
  let all = "";
  const starts: number[] = [];
  for (const token of tokens) {
    starts.push(all.length);
    all += decoder.decode(model.piece(token));
  }
  const at = all.indexOf(text);
  return at < 0 ? -1 : starts.findLastIndex((start) => start <= at);
}
