/**
 * Markers that the parser searches for, derived from the dialect: of thoughts, calls, messages and the end of the
 * answer.
 */
import { beginsWithControl } from "../chat/dialect/control_text.ts";
import type { CallForm } from "../chat/dialect/dialect.ts";
import { textOf } from "../chat/dialect/marker.ts";
import { type CallableTools, innerMarker } from "./call_parser.ts";
import type { ParserOptions } from "./parser_options.ts";
import { compact, Watch } from "./text.ts";

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

export interface AnswerMarks {
  /** How calls are parsed, if at all. */
  readonly calls: ParserOptions["calls"];
  /** Whether calls are parsed and have a marker to search for. */
  readonly reads: boolean;
  /** Begins a call; empty if calls are bare, beginning with one of the leads. */
  readonly marker: string;
  /** Identifies a call whose marker the model omitted; empty if nothing does. */
  readonly unmarked: string;
  /** Begins each call of a section, even if the section's marker is missing; empty if nothing does. */
  readonly inner: string;
  readonly leads: readonly Lead[];
  /** Searched at the start of a message, before any text. */
  readonly begin: Watch<Kind>;
  readonly text: Watch<Kind>;
  readonly inThought: Watch<Kind>;
  /** Searched in text after an empty thought; a match means that the text is the thought. */
  readonly suspect: Watch<Kind>;
}

/** Beginning of a call that nothing marks, without whitespace. */
export interface Lead {
  readonly text: string;
  /** Length of what comes before the name. */
  readonly length: number;
}

/** Matches markers that close only thoughts. */
const THOUGHT = /think|thought|reason|channel|inner/i;

export function marksOf({ dialect, calls: wanted, tools, stop, ends }: ParserOptions): AnswerMarks {
  const { thought, text: frames, call, channels } = dialect;
  const calls = call === undefined ? "ignore" : wanted;
  const marker = call === undefined ? "" : textOf(call.marker);
  const unmarked = calls === "read" ? call?.unmarked ?? "" : "";
  const begins = marker !== "" || call?.recipient === true;
  const reads = begins && (calls === "read" || calls === "first");
  const leads = call === undefined || begins ? [] : leadsOf(call, tools);
  const watches = (kind: Kind, texts: readonly string[]): [string, Kind][] => texts.map((text) => [text, kind]);
  // The template's markers win over the caller's: they may contain a stop string.
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
  // A closing marker specific to thoughts means that a thought came before it. One that is not a token may be quoted in
  // text, but not at the end of a line.
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
  // A marker that may be an ordinary word counts only at the start of a message.
  const spoken = markers.filter((text) => !/[<[\uFFFE\uFDD0]/.test(text));
  const text = new Watch([
    // Control tokens cannot be quoted, so they mean the same everywhere.
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
    // Models sometimes call without closing the thought. Only for token markers: text is too easily quoted.
    ...watches("call", reads && typeof call?.marker[0] === "object" ? markers : []),
    ...watches("end", ends),
    ...watches("message", channels === undefined ? [] : [channels.start]),
  ]);
  return { calls, reads, marker, unmarked, inner, leads, begin, text, inThought, suspect };
}

/** Beginnings of bare calls: JSON up to the name, or a tool's name in a Python list. */
function leadsOf({ sectionOpen, head, arguments: form, object }: CallForm, tools: CallableTools): Lead[] {
  const nameAt = head.findIndex(({ type }) => type === "name");
  const parts = head.slice(0, nameAt).flatMap((part) => part.type === "text" ? part.text : []);
  const opening = compact(textOf([...sectionOpen, ...parts]));
  if (form.type === "python") {
    return Array.from(tools.keys(), (name) => ({ text: `${opening}${name}(`, length: opening.length }));
  }
  const before = opening.slice(0, opening.indexOf("{"));
  const key = `"${object === undefined || object === "keyed" ? "name" : object.name}":"`;
  return [`{${key}`, `{"type":"function",${key}`].map((text) => ({
    text: before + text,
    length: before.length + text.length,
  }));
}
