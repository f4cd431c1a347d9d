/**
 * What a terminal sends, on its way to the line editor. A text that is pasted ("bracketed paste") becomes one line: its
 * line breaks are shown as `↵`, a long one as `[paste 1: 120 lines]`, and both are put back when the line is done. While
 * an answer is written, keys are kept for the next line, but for Ctrl-C.
 */
import { Buffer } from "node:buffer";
import { Transform, type TransformCallback } from "node:stream";

/** Asks a terminal to mark what is pasted. */
export const PASTE_ON = "\x1b[?2004h";
/** Asks it not to any more. */
export const PASTE_OFF = "\x1b[?2004l";

const BEGIN = "\x1b[200~";
const END = "\x1b[201~";
/** Stands for a line break in a line. */
const BREAK = "↵";
/** A longer paste is only named in the line: an editor that draws every character again and again would take long. */
const MOST_SHOWN = 2000;
const INTERRUPT = "\x03";

/** A terminal as the line editor needs it. */
interface Keyboard {
  setRawMode(raw: boolean): unknown;
}

/** Between a terminal and the line editor. */
export class PasteInput extends Transform {
  /** The editor looks whether it may edit. */
  readonly isTTY = true;
  readonly #keyboard: Keyboard;
  readonly #decoder = new TextDecoder();
  readonly #pastes: string[] = [];
  /** What is pasted and has not ended. */
  #pasting: string | undefined;
  /** The beginning of a mark. */
  #rest = "";
  #held: string | undefined;

  /** @param keyboard The terminal that is piped into this. */
  constructor(keyboard: Keyboard) {
    super();
    this.#keyboard = keyboard;
  }

  setRawMode(raw: boolean): this {
    this.#keyboard.setRawMode(raw);
    return this;
  }

  /** Keep keys until `release`. */
  hold(): void {
    this.#held ??= "";
  }

  /** Hand on the keys that were kept. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.push(Buffer.from(held));
  }

  /** A line that was edited, as it was meant. */
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
      // What was typed before it is given up, too.
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
    // Keys that a text has by chance are not pressed.
    // deno-lint-ignore no-control-regex
    const plain = text.replace(/[\0-\x08\x0b-\x1f\x7f]/g, "");
    if (plain.length <= MOST_SHOWN) return plain.replaceAll("\n", BREAK);
    this.#pastes.push(plain);
    const lines = plain.split("\n").length;
    return `[paste ${this.#pastes.length}: ${lines} ${lines === 1 ? "line" : "lines"}]`;
  }
}

/** Whether a line names a paste that it does not have. */
export function isShortened(line: string, restored: string): boolean {
  return line.replaceAll(BREAK, "\n") !== restored;
}

/** How many characters at the end of a text may begin the mark; Escape alone is a key. */
function beginningOf(mark: string, text: string): number {
  for (let count = Math.min(mark.length - 1, text.length); count >= 3; count--) {
    if (text.endsWith(mark.slice(0, count))) return count;
  }
  return 0;
}
