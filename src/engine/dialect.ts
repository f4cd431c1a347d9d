/**
 * How a chat template writes thoughts and calls, read from its settings: what the parser looks for, and what a grammar
 * has to spell. Which of it are tokens is the reader's business.
 */
import type { ChatWrapperSettings, LlamaText } from "node-llama-cpp";

/** Text, or a token that is written as one. */
export type MarkerPart = string | { readonly token: number; readonly text: string };

/** Something the template writes. */
export type Marker = readonly MarkerPart[];

/** Makes a marker of a template's text, up to where it would end the answer. */
export type MarkerReader = (value: string | LlamaText) => Marker;

/** How a reasoning trace is written. */
export interface ThoughtForm {
  /** Absent where only the template opens one. */
  readonly open?: Marker;
  readonly close: Marker;
  /** The answer begins within a thought. */
  readonly opened: boolean;
  /** And it does so after results of calls. */
  readonly reopened: boolean;
}

/** How calls are written. */
export interface CallForm {
  /** Begins a call, or a section of calls; empty where a call is nothing but a JSON object. */
  readonly marker: Marker;
  /** Follows the marker, and says itself that a call comes; models forget the marker before it. */
  readonly unmarked?: string;
  /** The marker begins a section, and further calls come without it. */
  readonly section: boolean;
  /** The call is a JSON object with these keys. */
  readonly json?: { readonly name: string; readonly input: string };
  /** The arguments stand in braces that belong to the form. */
  readonly braced: boolean;
  /** Several calls may come in one answer. */
  readonly several: boolean;
  /** What the parser expects, without the space around it. */
  readonly read: {
    readonly sectionOpen: string;
    readonly prefix: string;
    readonly beforeInput: string;
    readonly suffix: string;
    readonly between: string;
    readonly sectionClose: string;
  };
  /** What a grammar spells: from the answer's beginning to the name, from the marker to the name, and so on. */
  readonly write: {
    readonly first: Marker;
    readonly afterMarker: Marker;
    readonly prefix: Marker;
    readonly beforeInput: Marker;
    readonly suffix: Marker;
    readonly between: Marker;
    readonly sectionClose: Marker;
  };
}

/** Messages with a header that says what they are (gpt-oss). */
export interface ChannelForm {
  /** Begins a message. */
  readonly start: string;
  /** Comes before a channel's name. */
  readonly channel: string;
  /** Ends the header. */
  readonly body: string;
  /** Ends the message. */
  readonly close: string;
  /** The channel for thoughts. */
  readonly thought: string;
  /** What a grammar spells: the header of a message that calls, up to the recipient; that of an answer; the beginning of a further message. */
  readonly write: { readonly call: Marker; readonly final: Marker; readonly start: Marker };
}

/** A template's way with thoughts and calls. */
export interface Dialect {
  readonly thought?: ThoughtForm;
  readonly call?: CallForm;
  readonly channels?: ChannelForm;
}

const JSON_NAME = /\{\s*"(\w+)":\s*"$/;
const JSON_INPUT = /^"\s*,\s*"(\w+)":\s*$/;
/** The beginning of a tag that holds the tool's name. */
const TAG_WITH_NAME = /^<\w+=$/;
const ROLE = "assistant";
const FINAL_CHANNEL = "final";

/** A marker as the parser sees it. */
export function textOf(marker: Marker): string {
  return marker.map((part) => typeof part === "string" ? part : part.text).join("");
}

/**
 * Read a template's settings.
 *
 * @param settings As the chat wrapper has them.
 * @param options `read`: what knows the tokens; `calls`: whether the settings for calls are the template's own.
 */
export function dialectOf(
  settings: ChatWrapperSettings,
  { read, calls }: { readonly read: MarkerReader; readonly calls: boolean },
): Dialect {
  const thought = thoughtOf(settings, read);
  const call = calls ? callOf(settings.functions, read) : undefined;
  const channels = channelsOf(settings, read);
  return {
    ...(thought === undefined ? {} : { thought }),
    ...(call === undefined ? {} : { call }),
    ...(channels === undefined ? {} : { channels }),
  };
}

function thoughtOf({ segments }: ChatWrapperSettings, read: MarkerReader): ThoughtForm | undefined {
  const thought = segments?.thought;
  const suffix = thought?.suffix ?? segments?.closeAllSegments;
  if (thought === undefined || suffix === undefined) return undefined;
  const close = trimmed(read(suffix));
  if (close.length === 0) return undefined;
  const { prefix } = thought;
  const reopened = thought.reopenAfterFunctionCalls ?? false;
  if (typeof prefix === "object" && "type" in prefix) return { close, opened: true, reopened };
  const open = trimmed(read(prefix));
  return open.length === 0 ? undefined : { open, close, opened: thought.openOnResponseStart ?? false, reopened };
}

function callOf(functions: ChatWrapperSettings["functions"], read: MarkerReader): CallForm | undefined {
  const { call, parallelism } = functions;
  const section = trimmedStart(read(parallelism?.call.sectionPrefix ?? ""));
  const inSection = section.length > 0;
  const prefix = inSection ? read(call.prefix) : trimmedStart(read(call.prefix));
  const beforeInput = read(call.paramsPrefix);
  const suffix = read(call.suffix);
  const between = read(parallelism?.call.betweenCalls ?? "");
  const sectionClose = read(parallelism?.call.sectionSuffix ?? "");
  // A name that is written twice cannot be spelled by a grammar that chooses it once.
  if (beforeInput.length === 0 || /\{\{functionName\}\}/.test(textOf([...beforeInput, ...suffix]))) return undefined;

  const name = JSON_NAME.exec(textOf(prefix));
  const input = JSON_INPUT.exec(textOf(beforeInput));
  const json = name && input ? { name: name[1] as string, input: input[1] as string } : undefined;
  const nameless = json === undefined ? textOf(prefix) : textOf(prefix).slice(0, name?.index);
  const first = [...section, ...prefix];
  if (first.length === 0) return undefined;
  const led = typeof first[0] !== "string";
  // Known by its first token; without one, by all that comes before the name.
  const marker = led ? first.slice(0, 1) : inSection ? section : json === undefined ? first : [];
  const before = inSection ? "" : textOf(marker);
  const opening = beforeInput.at(-1);
  const braced = json === undefined && typeof opening === "string" && opening.trimEnd().endsWith("{") &&
    textOf(suffix).trim().startsWith("}");
  const closing = textOf(suffix).trim();
  const afterMarker = textOf(first.slice(1)).trim();
  return {
    marker,
    ...(led && !inSection && TAG_WITH_NAME.test(afterMarker) ? { unmarked: afterMarker } : {}),
    section: inSection,
    ...(json === undefined ? {} : { json }),
    braced,
    several: parallelism !== undefined,
    read: {
      sectionOpen: inSection ? textOf(section).slice(textOf(marker).length).trim() : "",
      prefix: nameless.slice(before.length).trim(),
      beforeInput: textOf(beforeInput).trim() || textOf(beforeInput),
      suffix: (json !== undefined || braced) && closing.startsWith("}") ? closing.slice(1).trim() : closing,
      between: textOf(between).trim(),
      sectionClose: textOf(sectionClose).trim(),
    },
    write: {
      first,
      afterMarker: led ? first.slice(1) : inSection ? prefix : [],
      prefix,
      beforeInput,
      suffix,
      between,
      sectionClose,
    },
  };
}

/** Thoughts and comments differ in nothing but a name: that is a channel's. */
function channelsOf({ segments, functions }: ChatWrapperSettings, read: MarkerReader): ChannelForm | undefined {
  const { thought, comment } = segments ?? {};
  if (thought?.suffix === undefined || comment === undefined) return undefined;
  const { prefix } = thought;
  if (typeof prefix === "object" && "type" in prefix) return undefined;
  const [a, b] = [textOf(read(prefix)), textOf(read(comment.prefix))];
  const start = read(functions.result.prefix)[0];
  let head = 0;
  while (head < a.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  if (head === 0 || tail === 0 || start === undefined) return undefined;
  const commentName = b.slice(head, b.length - tail);
  const header = read(comment.prefix);
  const rename = (to: string): Marker =>
    header.map((part) => typeof part === "string" ? part.replace(commentName, to) : part);
  const nameAt = header.findIndex((part) => typeof part === "string" && part.includes(commentName));
  return {
    start: textOf([start]),
    channel: a.slice(0, head),
    body: a.slice(a.length - tail),
    close: textOf(trimmed(read(thought.suffix))),
    thought: a.slice(head, a.length - tail),
    write: { call: header.slice(0, nameAt + 1), final: rename(FINAL_CHANNEL), start: [start, ROLE] },
  };
}

function trimmed(marker: Marker): Marker {
  const parts = [...trimmedStart(marker)];
  for (let last = parts.at(-1); typeof last === "string"; last = parts.at(-1)) {
    parts.pop();
    if (last.trimEnd() === "") continue;
    parts.push(last.trimEnd());
    break;
  }
  return parts;
}

function trimmedStart(marker: Marker): Marker {
  const parts = [...marker];
  for (let first = parts[0]; typeof first === "string"; first = parts[0]) {
    parts.shift();
    if (first.trimStart() === "") continue;
    parts.unshift(first.trimStart());
    break;
  }
  return parts;
}
