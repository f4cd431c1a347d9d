/**
 * Tells a thought from the answer behind it where a server leaves the model's own marks in the text. Only a text that
 * begins with such a mark is looked at: further back it is what the model wants to say. A model whose prompt ends in
 * an open mark writes the closing one alone, and nothing tells that apart from an answer until it comes; a server that
 * splits thoughts off (vLLM's `--reasoning-parser`, llama-server's `--reasoning-format`) is the remedy.
 */

/** Marks that open a thought, and those that close it. */
const MARKS: readonly (readonly [open: string, close: string])[] = [
  ["<think>", "</think>"],
  ["<thinking>", "</thinking>"],
  ["<thought>", "</thought>"],
  ["<seed:think>", "</seed:think>"],
  ["[THINK]", "[/THINK]"],
];

/** A piece of an answer. */
export interface ThoughtOrText {
  readonly type: "thinking" | "text";
  readonly text: string;
}

/** Splits one answer. */
export class LeadingThought {
  #place: "start" | "thought" | "behind" | "text" = "start";
  /** What cannot be decided yet. */
  #held = "";
  #close = "";

  /** The thoughts come by themselves: marks in the text are text. */
  skip(): ThoughtOrText[] {
    const rest = this.end();
    this.#place = "text";
    return rest;
  }

  /**
   * Add a piece.
   *
   * @returns What is known now.
   */
  take(text: string): ThoughtOrText[] {
    if (this.#place === "text") return [{ type: "text", text }];
    this.#held += text;
    const pieces: ThoughtOrText[] = [];
    if (this.#place === "start") this.#begin();
    if (this.#place === "thought") this.#think(pieces);
    if (this.#place === "behind") {
      this.#held = this.#held.trimStart();
      if (this.#held !== "") this.#place = "text";
    }
    if (this.#place === "text") this.#give("text", pieces);
    return pieces;
  }

  /**
   * Nothing follows.
   *
   * @returns What was held back.
   */
  end(): ThoughtOrText[] {
    const pieces: ThoughtOrText[] = [];
    this.#give(this.#place === "thought" ? "thinking" : "text", pieces);
    return pieces;
  }

  #begin(): void {
    const begun = this.#held.trimStart();
    const mark = MARKS.find(([open]) => begun.startsWith(open));
    if (mark !== undefined) {
      const [open, close] = mark;
      this.#held = begun.slice(open.length);
      this.#close = close;
      this.#place = "thought";
    } else if (!MARKS.some(([open]) => open.startsWith(begun))) {
      this.#place = "text";
    }
  }

  #think(pieces: ThoughtOrText[]): void {
    const end = this.#held.indexOf(this.#close);
    if (end !== -1) {
      const rest = this.#held.slice(end + this.#close.length);
      this.#held = this.#held.slice(0, end);
      this.#give("thinking", pieces);
      this.#held = rest;
      this.#place = "behind";
      return;
    }
    let kept = Math.min(this.#close.length - 1, this.#held.length);
    while (!this.#close.startsWith(this.#held.slice(this.#held.length - kept))) kept--;
    const rest = this.#held.slice(this.#held.length - kept);
    this.#held = this.#held.slice(0, this.#held.length - kept);
    this.#give("thinking", pieces);
    this.#held = rest;
  }

  #give(type: ThoughtOrText["type"], pieces: ThoughtOrText[]): void {
    if (this.#held !== "") pieces.push({ type, text: this.#held });
    this.#held = "";
  }
}
