/**
 * What of an answer is sent, and when: space only if something follows it, and text behind an empty thought only once it
 * is known not to be the thought.
 */
import { withoutControls } from "../chat/dialect/control_text.ts";
import type { Meaning } from "./parser_options.ts";

/** Text behind a thought that ended at once is held up to this many characters: it may be the thought. */
const MAX_SUSPECTED = 4000;

/** Sends the text and the thoughts of one answer. */
export class AnswerText {
  readonly #holdsSpace: boolean;
  /** Space that is text only if text follows. */
  #space = "";
  /** A thought was asked for and came to nothing: text is held here, until it is known to be text. */
  #suspected: string | undefined;
  /** Nothing came since the answer's beginning. */
  #untouched = true;
  /** No text came yet, since the beginning or since a thought or a call. */
  fresh = true;

  /** @param options.holdsSpace Space at the end of a text is held back, because a call may follow. */
  constructor({ holdsSpace }: { readonly holdsSpace: boolean }) {
    this.#holdsSpace = holdsSpace;
  }

  /** Text goes out as it comes: nothing is held back. */
  get passes(): boolean {
    return !this.fresh && !this.#holdsSpace && this.#suspected === undefined;
  }

  /** Text is held that may be a thought. */
  get suspects(): boolean {
    return this.#suspected !== undefined;
  }

  /** Send text. */
  text(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = this.fresh && sendable.trim() === "" ? "" : this.#holdsSpace ? sendable.trimEnd() : sendable;
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.fresh = false;
    this.#untouched = false;
    this.#say(body, meaning);
  }

  /** Send a piece of a thought. */
  thought(text: string, meaning: Meaning): void {
    const sendable = this.#space + withoutControls(text);
    const body = sendable.trimEnd();
    this.#space = sendable.slice(body.length);
    if (body === "") return;
    this.fresh = false;
    meaning.thinking(body);
  }

  /** A thought is over. */
  endThought(closed: boolean): void {
    if (closed && this.#untouched && this.fresh) this.#suspected = "";
    this.#untouched = false;
  }

  /** Send the space that was held back. */
  space(meaning: Meaning): void {
    if (this.#space !== "") this.#say(this.#space, meaning);
    this.#space = "";
  }

  /** Hold this space back. */
  keepSpace(space: string): void {
    this.#space += space;
  }

  /** The space that was held back belongs to the template. */
  dropSpace(): void {
    this.#space = "";
  }

  /** What was held is text. */
  release(meaning: Meaning): void {
    if (this.#suspected === undefined) return;
    if (this.#suspected !== "") meaning.text(this.#suspected);
    this.#suspected = undefined;
  }

  /** What was held is text if there is too much of it. */
  releaseLong(meaning: Meaning): void {
    if ((this.#suspected?.length ?? 0) > MAX_SUSPECTED) this.release(meaning);
  }

  /** What was held, or else was sent as text, is a thought. */
  wasThought(meaning: Meaning): void {
    if (this.#suspected === undefined) return meaning.textWasThought();
    meaning.thinking(this.#suspected);
    this.#suspected = undefined;
  }

  /** Whether a line begins after this, which follows what was sent. */
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
