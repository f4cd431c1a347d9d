/**
 * Decides when text is sent: trailing whitespace only if text follows, and text after an empty thought only once it is
 * known not to be the thought.
 */
import { withoutControls } from "../chat/dialect/control_text.ts";
import type { Meaning } from "./parser_options.ts";

/** Maximum characters held back after an empty thought. */
const MAX_SUSPECTED = 4000;

/** Sends the text and thoughts of one answer. */
export class AnswerText {
  readonly #holdsSpace: boolean;
  /** Whitespace that is sent only if text follows. */
  #space = "";
  /** Text after an empty thought, held until it is known to be text. */
  #suspected: string | undefined;
  /** Whether nothing has come since the start of the answer. */
  #untouched = true;
  /** Whether no text has come since the start, a thought or a call. */
  fresh = true;

  /** @param options.holdsSpace Hold back trailing whitespace, because a call may follow. */
  constructor({ holdsSpace }: { readonly holdsSpace: boolean }) {
    this.#holdsSpace = holdsSpace;
  }

  /** Whether text is sent without delay. */
  get passes(): boolean {
    return !this.fresh && !this.#holdsSpace && this.#suspected === undefined;
  }

  /** Whether text is held back that may be a thought. */
  get suspects(): boolean {
    return this.#suspected !== undefined;
  }

  text(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = this.fresh && sendable.trim() === "" ? "" : this.#holdsSpace ? sendable.trimEnd() : sendable;
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.fresh = false;
    this.#untouched = false;
    this.#say(body, meaning);
  }

  thought(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = sendable.trimEnd();
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.fresh = false;
    meaning.thinking(body);
  }

  endThought(closed: boolean): void {
    if (closed && this.#untouched && this.fresh) this.#suspected = "";
    this.#untouched = false;
  }

  /** Sends the whitespace held back. */
  space(meaning: Meaning): void {
    if (this.#space !== "") this.#say(this.#space, meaning);
    this.#space = "";
  }

  keepSpace(space: string): void {
    this.#space += space;
  }

  /** Discards the whitespace held back: it belongs to the template. */
  dropSpace(): void {
    this.#space = "";
  }

  /** Sends the text held back, as text. */
  release(meaning: Meaning): void {
    if (this.#suspected === undefined) return;
    if (this.#suspected !== "") meaning.text(this.#suspected);
    this.#suspected = undefined;
  }

  /** Sends the text held back if it exceeds the limit. */
  releaseLong(meaning: Meaning): void {
    if ((this.#suspected?.length ?? 0) > MAX_SUSPECTED) this.release(meaning);
  }

  /** Reports the text held back, or the text already sent, as a thought. */
  wasThought(meaning: Meaning): void {
    if (this.#suspected === undefined) return meaning.textWasThought();
    meaning.thinking(this.#suspected);
    this.#suspected = undefined;
  }

  /** Whether a new line begins after the text sent so far plus this. */
  beginsLine(before: string): boolean {
    const text = withoutControls(this.#space + before);
    const shown = text.trimEnd();
    return text.includes("\n", shown.length) || shown === "" && this.fresh;
  }

  #say(text: string, meaning: Meaning): void {
    if (this.#suspected === undefined) meaning.text(text);
    else this.#suspected += text;
  }
}
