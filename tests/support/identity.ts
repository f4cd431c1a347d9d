/**
 * Whether the parser reads what the template writes, and the grammar allows it: a call that is rendered and read again
 * is the call it was.
 */
import { assert, assertEquals } from "@std/assert";
import type { Tool } from "../../src/inference/request.ts";
import { Answers } from "../../src/engine/generate/answers.ts";
import type { Chat } from "../../src/engine/chat/chat.ts";
import type { CallableTools } from "../../src/engine/answer/call_parser.ts";
import { Parser } from "../../src/engine/answer/parser.ts";
import { Characters } from "../../src/engine/answer/text.ts";
import { CALLS, markerCalls, TOOLS } from "./calls.ts";
import { shown, type TestModel } from "./chat_model.ts";
import { Events, type ParserEvent } from "./parsing.ts";
import { ask, playTokens } from "./playing.ts";
import { isSpace, QUESTION, type Replay, replay, type Said, seenTokens, withoutFrames } from "./replay.ts";

/**
 * What a family can say, of all that is tried.
 *
 * @param textBeforeCalls Whether it can say something before it calls.
 */
export function sayable(model: TestModel, { dialect }: Chat, textBeforeCalls: boolean): Readonly<Record<string, Said>> {
  const several = dialect.call?.several === true;
  const all = { ...CALLS, ...markerCalls(model, dialect) };
  return Object.fromEntries(
    Object.entries(all).filter(([, { text, calls = [] }]) =>
      (several || calls.length < 2) && (textBeforeCalls || text === undefined)
    ),
  );
}

/**
 * Check that what is said is read and allowed as the template writes it.
 *
 * @param options.label What is checked.
 * @param options.everywhere Whether it is cut in two at every byte, beside token by token and byte by byte.
 */
export function assertIdentity(
  model: TestModel,
  chat: Chat,
  said: Said,
  options: { readonly label: string; readonly everywhere: boolean; readonly tools?: readonly Tool[] },
): void {
  const { tools = TOOLS } = options;
  const written = replay(model, chat, said, { tools });
  checkReading(model, chat, { said, written, ...options, tools });
  checkAllowed(model, chat, { said, written, ...options, tools });
}

interface Written {
  readonly said: Said;
  readonly written: Replay;
  readonly label: string;
  readonly everywhere: boolean;
  readonly tools: readonly Tool[];
}

/** The parser gives back what was said, wherever the text is cut. */
function checkReading(
  model: TestModel,
  chat: Chat,
  { said, written, label, everywhere, tools: offered }: Written,
): void {
  const { prompt } = written;
  const tokens = [...written.closed, ...written.tokens];
  const names = chat.names({ messages: [QUESTION], tools: offered });
  const given = new Map([...names].map(([given, written]) => [written, given]));
  const tools: CallableTools = new Map(offered.map(({ name, inputSchema }) => [names.get(name) ?? name, inputSchema]));
  const read = (pieces: Iterable<Uint8Array>): ParserEvent[] => {
    const parser = new Parser({
      dialect: chat.dialect,
      start: prompt.start,
      calls: "read",
      tools,
      stop: [],
      ends: prompt.endTexts,
    });
    const characters = new Characters();
    const events = new Events();
    for (const piece of pieces) parser.push(characters.push(piece), events);
    parser.finish(false, events);
    return events.all.map((event) =>
      typeof event === "object" && "call" in event ? { ...event, call: given.get(event.call) ?? event.call } : event
    );
  };
  const expected = eventsOf(said);
  const check = (pieces: Iterable<Uint8Array>, cut: string): void => {
    assertSame(read(pieces), expected, chat, () => `${label}, ${cut}: ${shown(model, tokens)}`);
  };
  const pieces = seenTokens(model, tokens);
  const bytes = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  check([bytes], "whole");
  check(pieces, "token by token");
  check(Array.from(bytes, (byte) => Uint8Array.of(byte)), "byte by byte");
  for (let at = 1; everywhere && at < bytes.length; at++) check([bytes.slice(0, at), bytes.slice(at)], `cut at ${at}`);
}

/** Calls are allowed as the template writes them, both where they may come and where one has to. */
function checkAllowed(
  model: TestModel,
  chat: Chat,
  { said, written: { closed, tokens, end }, label, tools }: Written,
): void {
  const expected = (said.calls ?? []).map(([name, input]) => ({ name, input }));
  const play = (toolChoice: "auto" | "required", tokens: readonly number[]): void => {
    const job = ask(answersOf(model, chat), { messages: [QUESTION], tools, toolChoice });
    const { calls, refused } = playTokens(model, job, [...tokens, ...(end === undefined ? [] : [end])]);
    const what = (): string => `${label}, ${toolChoice}: ${shown(model, tokens)}`;
    if (refused !== undefined) assertEquals(refused, undefined, what());
    assertSame(calls, expected, chat, what);
  };
  play("auto", [...closed, ...tokens]);
  if (said.text !== undefined) return;
  play("required", [...closed, ...withoutSpaceAtEnd(model, withoutFrames(model, chat, tokens))]);
}

const answers = new WeakMap<Chat, Answers>();

/** Grammars are compiled once for a chat. */
function answersOf(model: TestModel, chat: Chat): Answers {
  const known = answers.get(chat) ?? new Answers(model, chat);
  answers.set(chat, known);
  return known;
}

function withoutSpaceAtEnd(model: TestModel, tokens: readonly number[]): number[] {
  return tokens.slice(0, tokens.findLastIndex((token) => !isSpace(model, token)) + 1);
}

function eventsOf({ text, thinking, calls = [] }: Said): ParserEvent[] {
  return [
    ...(thinking === undefined ? [] : [{ thinking }]),
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(([call, input]) => ({ call, input })),
  ];
}

/** Equal, with arguments in the order in which they were given, unless the template orders them itself. */
function assertSame(actual: unknown, expected: unknown, { dialect }: Chat, message: () => string): void {
  if (JSON.stringify(actual) === JSON.stringify(expected)) return;
  assertEquals(actual, expected, message());
  assert(dialect.call?.sorted, message());
}
