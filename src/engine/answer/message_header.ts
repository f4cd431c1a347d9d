/**
 * Parses the header of a message (gpt-oss), which says whether a thought, a call or text follows. Models reorder its
 * parts or omit some.
 */
import type { ChannelForm } from "../chat/dialect/dialect.ts";

/** What a header says. */
export type Header =
  /** It is not whole; `addressed`: a call will follow. */
  | { readonly kind: "waits"; readonly addressed: boolean }
  /** There is none: the text is an answer's. */
  | { readonly kind: "none" }
  /** The end of a message, before which nothing came. */
  | { readonly kind: "closed"; readonly rest: string }
  | { readonly kind: "thought" | "text"; readonly body: string }
  | { readonly kind: "call"; readonly name: string; readonly body: string };

/** How to read headers. */
export interface HeaderOptions {
  readonly channels: ChannelForm;
  /** Comes before the name of a tool; empty if the template has no tools. */
  readonly marker: string;
  /** Whether calls are read; else they are text. */
  readonly calls: boolean;
  /** Names of what may be called. */
  readonly tools: Pick<ReadonlySet<string>, "has">;
}

const ROLE = "assistant";

/** Reads headers. */
export class HeaderReader {
  readonly #channels: ChannelForm;
  readonly #marker: string;
  readonly #calls: boolean;
  readonly #tools: HeaderOptions["tools"];
  /** Comes before the one a message is for. */
  readonly #recipient: string;
  /** What a header may begin with. */
  readonly #begins: readonly string[];

  constructor({ channels, marker, calls, tools }: HeaderOptions) {
    this.#channels = channels;
    this.#marker = marker;
    this.#calls = calls;
    this.#tools = tools;
    this.#recipient = marker.slice(0, marker.indexOf("=") + 1);
    const { start, channel, body, close } = channels;
    this.#begins = [start, channel, body, close, this.#recipient || ROLE, ROLE];
  }

  /** Read what came so far. */
  read(text: string): Header {
    const { channel, body, close, thought } = this.#channels;
    const header = text.trimStart();
    if (header.startsWith(close)) return { kind: "closed", rest: header.slice(close.length) };
    if (!this.#begins.some((begin) => begin.startsWith(header) || header.startsWith(begin))) return { kind: "none" };
    const end = header.indexOf(body);
    const head = end < 0 ? header : header.slice(0, end);
    const called = this.#calls ? endOf(head, this.#marker) : -1;
    if (end < 0) return { kind: "waits", addressed: called >= 0 };
    const rest = header.slice(end + body.length);
    if (called >= 0) return { kind: "call", name: nameAt(head, called), body: rest };
    // Where tools live is easily forgotten.
    const name = nameAt(head, endOf(head, this.#recipient));
    if (this.#calls && this.#tools.has(name)) return { kind: "call", name, body: rest };
    const at = head.lastIndexOf(channel);
    const isThought = at >= 0 && head.slice(at + channel.length).trimStart().startsWith(thought);
    return { kind: isThought ? "thought" : "text", body: rest };
  }
}

/** Where a text ends in another; negative if it is empty or not there. */
function endOf(text: string, wanted: string): number {
  const at = wanted === "" ? -1 : text.indexOf(wanted);
  return at < 0 ? -1 : at + wanted.length;
}

function nameAt(text: string, at: number): string {
  return at < 0 ? "" : /^[^\s<\uFFFE]*/.exec(text.slice(at))?.[0] ?? "";
}
