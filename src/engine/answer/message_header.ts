/** Parses message headers (gpt-oss), which announce a thought, a call or text. Models reorder or omit their parts. */
import type { ChannelForm } from "../chat/dialect/dialect.ts";
import { endOf } from "./text.ts";

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
  readonly tools: Pick<ReadonlySet<string>, "has">;
}

const ROLE = "assistant";

export class HeaderReader {
  readonly #options: HeaderOptions;
  /** Precedes the recipient's name. */
  readonly #recipient: string;
  /** Markers that a header may begin with. */
  readonly #begins: readonly string[];

  constructor(options: HeaderOptions) {
    const { channels, marker } = options;
    this.#options = options;
    this.#recipient = marker.slice(0, marker.indexOf("=") + 1);
    const { start, channel, body, close } = channels;
    this.#begins = [start, channel, body, close, this.#recipient || ROLE, ROLE];
  }

  read(text: string): Header {
    const { channels: { channel, body, close, thought }, marker, calls, tools } = this.#options;
    const header = text.trimStart();
    if (header.startsWith(close)) return { kind: "closed", rest: header.slice(close.length) };
    if (!this.#begins.some((begin) => begin.startsWith(header) || header.startsWith(begin))) return { kind: "none" };
    const end = header.indexOf(body);
    const head = end < 0 ? header : header.slice(0, end);
    const called = calls && marker !== "" ? endOf(head, marker) : -1;
    if (end < 0) return { kind: "waits", addressed: called >= 0 };
    const rest = header.slice(end + body.length);
    if (called >= 0) return { kind: "call", name: nameAt(head, called), body: rest };
    // Models often omit the tools' namespace.
    const name = nameAt(head, this.#recipient === "" ? -1 : endOf(head, this.#recipient));
    if (calls && tools.has(name)) return { kind: "call", name, body: rest };
    const at = head.lastIndexOf(channel);
    const isThought = at >= 0 && head.slice(at + channel.length).trimStart().startsWith(thought);
    return { kind: isThought ? "thought" : "text", body: rest };
  }
}

function nameAt(text: string, at: number): string {
  return at < 0 ? "" : /^[^\s<\uFFFE]*/.exec(text.slice(at))?.[0] ?? "";
}
