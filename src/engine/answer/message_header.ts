/** Parses message headers (gpt-oss), which announce a thought, a call or text. Models reorder or omit their parts. */
import type { ChannelForm } from "../chat/dialect/dialect.ts";

/** Parsed header. */
export type Header =
  /** Incomplete; `addressed`: a call will follow. */
  | { readonly kind: "waits"; readonly addressed: boolean }
  /** There is no header: the text belongs to the answer. */
  | { readonly kind: "none" }
  /** The end marker of an empty message. */
  | { readonly kind: "closed"; readonly rest: string }
  | { readonly kind: "thought" | "text"; readonly body: string }
  | { readonly kind: "call"; readonly name: string; readonly body: string };

export interface HeaderOptions {
  readonly channels: ChannelForm;
  /** Precedes a tool's name; empty if the template has no tools. */
  readonly marker: string;
  /** Whether calls are parsed; otherwise they are text. */
  readonly calls: boolean;
  /** Callable tools. */
  readonly tools: Pick<ReadonlySet<string>, "has">;
}

const ROLE = "assistant";

/** Parses headers. */
export class HeaderReader {
  readonly #channels: ChannelForm;
  readonly #marker: string;
  readonly #calls: boolean;
  readonly #tools: HeaderOptions["tools"];
  /** Precedes the recipient's name. */
  readonly #recipient: string;
  /** Markers that a header may begin with. */
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

  /** Parse the text so far. */
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
    // Models often omit the tools' namespace.
    const name = nameAt(head, endOf(head, this.#recipient));
    if (this.#calls && this.#tools.has(name)) return { kind: "call", name, body: rest };
    const at = head.lastIndexOf(channel);
    const isThought = at >= 0 && head.slice(at + channel.length).trimStart().startsWith(thought);
    return { kind: isThought ? "thought" : "text", body: rest };
  }
}

/** Position after the first occurrence; negative if empty or not found. */
function endOf(text: string, wanted: string): number {
  const at = wanted === "" ? -1 : text.indexOf(wanted);
  return at < 0 ? -1 : at + wanted.length;
}

function nameAt(text: string, at: number): string {
  return at < 0 ? "" : /^[^\s<\uFFFE]*/.exec(text.slice(at))?.[0] ?? "";
}
