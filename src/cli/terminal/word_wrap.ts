/** Word-wraps streamed text by its displayed width. */
import { unicodeWidth } from "@std/cli/unicode-width";

/** An unbreakable piece: a word, white space, or a character that allows breaks around it, as in Chinese. */
const PIECES =
  /\n|[^\S\n]+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;
/** Opening or closing fence of a code block, which is not wrapped. */
const FENCE = /^\s*(```|~~~)/;

export class WordWrap {
  readonly #columns: () => number;
  #column = 0;
  /** White space, written only if a word follows on the same line. */
  #gap = "";
  /** The last word, which may continue. */
  #word = "";
  /** The current line unwrapped, to detect fences. */
  #line = "";
  #isFenced = false;
  /** A word longer than a line has started: the terminal breaks it, so that it can be copied. */
  #isLong = false;

  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /** @returns The text to write now: all but the last word. */
  push(text: string): string {
    const pieces = (this.#word + text).match(PIECES) ?? [];
    this.#word = /\s$/.test(text) || pieces.length === 0 ? "" : pieces.pop() ?? "";
    const written = pieces.map((piece) => this.#take(piece)).join("");
    // A word that fills a line need not be held back.
    if (unicodeWidth(this.#word) < this.#columns()) return written;
    const begun = this.flush();
    this.#isLong = true;
    return written + begun;
  }

  /** The held-back rest. */
  flush(): string {
    const word = this.#word;
    this.#word = "";
    return word === "" ? "" : this.#take(word);
  }

  #take(piece: string): string {
    if (piece === "\n") {
      if (FENCE.test(this.#line)) this.#isFenced = !this.#isFenced;
      [this.#line, this.#gap, this.#column, this.#isLong] = ["", "", 0, false];
      return "\n";
    }
    const isFirst = this.#line.trim() === "";
    this.#line += piece;
    const width = unicodeWidth(piece);
    if (piece.trim() === "") {
      this.#gap += piece;
      this.#isLong = false;
      return "";
    }
    const gap = this.#gap;
    this.#gap = "";
    const wanted = this.#column + unicodeWidth(gap) + width;
    // A line's indentation stays with its first word.
    const columns = this.#columns();
    if (wanted <= columns || isFirst || this.#isFenced || this.#isLong) {
      this.#column = wanted > columns ? wanted % columns : wanted;
      return gap + piece;
    }
    this.#column = width > columns ? width % columns : width;
    return `\n${piece}`;
  }
}
