/** What a parser looks for in an answer, read off the dialect: markers of thoughts, calls and messages, and what ends it. */
import { beginsWithControl } from "../chat/dialect/control_text.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { innerMarker } from "./call_parser.ts";
import type { ParserOptions } from "./parser_options.ts";
import { Watch } from "./text.ts";

/** What a mark means where it is found. */
export type Kind =
  | "stop"
  | "end"
  | "thought"
  | "call"
  | "unmarked"
  | "message"
  | "close"
  | "frame"
  | "stray"
  | "recipient"
  | "inner";

/** The marks of one answer. */
export interface AnswerMarks {
  /** Whether calls are read, and how. */
  readonly calls: ParserOptions["calls"];
  /** Calls begin with something that can be looked for, and are read. */
  readonly reads: boolean;
  /** Begins a call; empty where it is nothing but JSON, which then begins with one of the leads. */
  readonly marker: string;
  /** Begins a call where its marker was forgotten; empty where nothing does. */
  readonly unmarked: string;
  /** Begins each call of a section, also where the section was not begun; empty where nothing does. */
  readonly inner: string;
  readonly leads: readonly string[];
  /** In a message, before any text. */
  readonly begin: Watch<Kind>;
  /** In a message. */
  readonly text: Watch<Kind>;
  /** In a thought. */
  readonly inThought: Watch<Kind>;
  /** What tells that a text behind an empty thought is the thought. */
  readonly suspect: Watch<Kind>;
}

/** How a marker looks that closes thoughts alone. */
const THOUGHT = /think|thought|reason|channel|inner/i;

/**
 * Collect the marks of an answer.
 *
 * @param options How the answer is read.
 */
export function marksOf({ dialect, calls: wanted, tools, stop, ends }: ParserOptions): AnswerMarks {
  const { thought, text: frames, call, channels } = dialect;
  const calls = call === undefined ? "ignore" : wanted;
  const marker = call === undefined ? "" : textOf(call.marker);
  const unmarked = calls === "read" ? call?.unmarked ?? "" : "";
  const begins = marker !== "" || call?.recipient === true;
  const reads = begins && (calls === "read" || calls === "first");
  const object = call?.object;
  const key = `"${object === undefined || object === "keyed" ? "name" : object.name}":"`;
  const leads = [`{${key}`, `{"type":"function",${key}`];
  const watches = (kind: Kind, texts: readonly string[]): [string, Kind][] => texts.map((text) => [text, kind]);
  // What the template writes comes before what the caller looks for: it may hold a stop string.
  const always = [
    ...watches("end", ends),
    ...watches("message", channels === undefined ? [] : [channels.start]),
    ...watches("close", channels === undefined ? [] : [channels.close]),
  ];
  const inChannels = channels !== undefined;
  const open = thought?.open === undefined || inChannels ? [] : [textOf(thought.open)];
  const close = thought === undefined ? [] : [textOf(thought.close)];
  const markers = calls === "ignore" || inChannels ? [] : [marker];
  const forgotten = watches("unmarked", [unmarked]);
  const stops = watches("stop", stop);
  const opens = inChannels ? [] : frames?.opens.map(textOf) ?? [];
  const closes = inChannels ? [] : frames?.closes.map(textOf) ?? [];
  // What closes thoughts alone tells that a thought came before it.
  // A marker that is not a token may be mentioned in text, but not at the end of a line.
  const own = inChannels ? [] : close.filter((text) => THOUGHT.test(text));
  const strays = own.map((text) => beginsWithControl(text) ? text : `${text}\n`);
  closes.push(...(inChannels ? [] : close.filter((text) => !THOUGHT.test(text))));
  if (call !== undefined && call.sectionOpen.length === 0 && call.between.some((part) => typeof part === "object")) {
    closes.push(textOf(call.between));
  }
  const recipients = call?.recipient && reads ? [...tools.keys()].map((name) => `${name}\n`) : [];
  const between = call === undefined ? "" : textOf(call.between);
  const addressed = recipients.map((line) => between + line);
  if (call?.recipient) opens.push(...opens.map((text) => between + text));
  const inner = call === undefined || !reads ? "" : innerMarker(call);
  const inners = watches("inner", [inner]);
  // A marker that may be a word of the text counts only where a message begins.
  const spoken = markers.filter((text) => !/[<[\uFFFE\uFDD0]/.test(text));
  const text = new Watch([
    // A control token is never spoken of, so it means the same wherever it comes.
    ...watches("thought", open.filter(beginsWithControl)),
    ...watches("recipient", addressed),
    ...watches("call", calls === "first" ? [] : markers.filter((text) => !spoken.includes(text))),
    ...inners,
    ...forgotten,
    ...watches("stray", strays),
    ...watches("frame", [...closes, ...(call?.recipient ? opens.filter((text) => text.startsWith(between)) : [])]),
    ...always,
    ...stops,
  ]);
  const suspect = new Watch(watches("stray", own));
  const begin = new Watch([
    ...watches("thought", open),
    ...watches("frame", [...opens, ...closes].sort((a, b) => b.length - a.length)),
    ...watches("close", inChannels ? [] : close),
    ...watches("recipient", [...addressed, ...recipients]),
    ...watches("call", markers),
    ...inners,
    ...forgotten,
    ...always,
    ...stops,
  ]);
  const inThought = new Watch([
    ...watches("close", close),
    // Models forget to end a thought before they call. A marker that is not a token is too easily mentioned.
    ...watches("call", reads && typeof call?.marker[0] === "object" ? markers : []),
    ...watches("end", ends),
    ...watches("message", channels === undefined ? [] : [channels.start]),
  ]);
  return { calls, reads, marker, unmarked, inner, leads, begin, text, inThought, suspect };
}
