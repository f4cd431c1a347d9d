/**
 * Preprocesses terminal input for the line editor. Pasted text ("bracketed paste") becomes one line: line breaks are
 * shown as `↵`, a long paste as `[paste 1: 120 lines]`; both are restored when the line is complete. While an answer is
 * printed, keys other than Ctrl-C are buffered.
 */
import { Buffer } from "node:buffer";
import { Transform, type TransformCallback } from "node:stream";

export const PASTE_ON = "\x1b[?2004h";
export const PASTE_OFF = "\x1b[?2004l";

const BEGIN = "\x1b[200~";
const END = "\x1b[201~";
/** Placeholder for a line break. */
const BREAK = "↵";
/** A longer paste is shown as a placeholder, because the editor redraws every character repeatedly. */
const MOST_SHOWN = 2000;
const INTERRUPT = "\x03";

/** A terminal as the line editor needs it. */
interface Keyboard {
  setRawMode(raw: boolean): unknown;
}

/** Sits between a terminal and the line editor. */
export class PasteInput extends Transform {
  /** The editor checks this for raw mode. */
  readonly isTTY = true;
  readonly #keyboard: Keyboard;
  readonly #decoder = new TextDecoder();
  readonly #pastes: string[] = [];
  #pasting: string | undefined;
  /** Beginning of a marker, not complete yet. */
  #rest = "";
  #held: string | undefined;

  constructor(keyboard: Keyboard) {
    super();
    this.#keyboard = keyboard;
  }

  setRawMode(raw: boolean): this {
    this.#keyboard.setRawMode(raw);
    return this;
  }

  /** Buffer keys until `release`. */
  hold(): void {
    this.#held ??= "";
  }

  /** Pass on buffered keys. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.push(Buffer.from(held));
  }

  /** Restore line breaks and pastes in a line. */
  restore(line: string): string {
    return line
      .replace(/\[paste (\d+): \d+ lines?\]/g, (shown, number: string) => this.#pastes[Number(number) - 1] ?? shown)
      .replaceAll(BREAK, "\n");
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    let out = "";
    let text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    this.#rest = "";
    for (;;) {
      const mark = this.#pasting === undefined ? BEGIN : END;
      const at = text.indexOf(mark);
      if (at < 0) {
        const kept = beginningOf(mark, text);
        this.#rest = text.slice(text.length - kept);
        out += this.#take(text.slice(0, text.length - kept));
        break;
      }
      out += this.#take(text.slice(0, at));
      text = text.slice(at + mark.length);
      if (this.#pasting === undefined) this.#pasting = "";
      else out += this.#endPaste(this.#pasting);
    }
    if (this.#held !== undefined && out !== "") {
      // Input typed before Ctrl-C is discarded, too.
      const isStopped = out.includes(INTERRUPT);
      this.#held = isStopped ? "" : this.#held + out;
      out = isStopped ? INTERRUPT : "";
    }
    done(null, out === "" ? undefined : Buffer.from(out));
  }

  #take(text: string): string {
    if (this.#pasting === undefined) return text;
    this.#pasting += text;
    return "";
  }

  #endPaste(pasted: string): string {
    this.#pasting = undefined;
    const text = pasted.replace(/\r\n?/g, "\n").replace(/\n$/, "");
    // Control characters in pasted text must not act as keys, nor on the terminal that shows them.
    // deno-lint-ignore no-control-regex
    const plain = text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "");
    if (plain.length <= MOST_SHOWN) return plain.replaceAll("\n", BREAK);
    this.#pastes.push(plain);
    const lines = plain.split("\n").length;
    return `[paste ${this.#pastes.length}: ${lines} ${lines === 1 ? "line" : "lines"}]`;
  }
}

/** Whether a line has a paste placeholder that could not be restored. */
export function isShortened(line: string, restored: string): boolean {
  return line.replaceAll(BREAK, "\n") !== restored;
}

/** Length of a partial marker at the end of a text; a lone Escape counts as a key. */
function beginningOf(mark: string, text: string): number {
  for (let count = Math.min(mark.length - 1, text.length); count >= 3; count--) {
    if (text.endsWith(mark.slice(0, count))) return count;
  }
  return 0;
}
