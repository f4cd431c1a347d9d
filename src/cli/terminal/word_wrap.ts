/** Wraps text that comes in pieces at words, as wide as a terminal shows it. */
import { unicodeWidth } from "@std/cli/unicode-width";

/** A piece that is not broken: a word, white space, or a character that may stand alone on a line, as in Chinese. */
const PIECES =
  /\n|[^\S\n]+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;
/** Begins and ends what is shown as it is, such as code. */
const FENCE = /^\s*(```|~~~)/;

/** Wraps one text. */
export class WordWrap {
  readonly #columns: () => number;
  /** How far the line is filled. */
  #column = 0;
  /** White space that is written when a word follows on the same line. */
  #gap = "";
  /** The end of what came, which may go on. */
  #word = "";
  /** The line as it came, for fences. */
  #line = "";
  #isFenced = false;
  /** A word longer than a line was begun: the terminal breaks it, so that it can be copied. */
  #isLong = false;

  /** @param columns How wide the terminal is, now. */
  constructor(columns: () => number) {
    this.#columns = columns;
  }

  /**
   * Take a piece of the text.
   *
   * @param text As it came.
   * @returns What to write now: all but the word that it ends with.
   */
  push(text: string): string {
    const pieces = (this.#word + text).match(PIECES) ?? [];
    this.#word = /\s$/.test(text) || pieces.length === 0 ? "" : pieces.pop() ?? "";
    const written = pieces.map((piece) => this.#take(piece)).join("");
    // What fills a line is no word to wait for.
    if (unicodeWidth(this.#word) < this.#columns()) return written;
    const begun = this.flush();
    this.#isLong = true;
    return written + begun;
  }

  /** What was held back. */
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
    // The indentation of a line stays with its first word.
    const columns = this.#columns();
    if (wanted <= columns || isFirst || this.#isFenced || this.#isLong) {
      this.#column = wanted > columns ? wanted % columns : wanted;
      return gap + piece;
    }
    this.#column = width > columns ? width % columns : width;
    return `\n${piece}`;
  }
}
