/**
 * Separates thinking from the answer where a server leaves the model's own marks in the text. Only marks at the
 * beginning count: later ones are part of the answer. If the prompt ends in an opening mark, the model writes only the
 * closing one, which cannot be recognised until it comes; the remedy is a server that separates thinking (vLLM's
 * `--reasoning-parser`, llama-server's `--reasoning-format`).
 */

/** Opening and closing marks of thinking. */
const MARKS: readonly (readonly [open: string, close: string])[] = [
  ["<think>", "</think>"],
  ["<thinking>", "</thinking>"],
  ["<thought>", "</thought>"],
  ["<seed:think>", "</seed:think>"],
  ["[THINK]", "[/THINK]"],
];

export interface ThoughtOrText {
  readonly type: "thinking" | "text";
  readonly text: string;
}

/** Splits one answer. */
export class LeadingThought {
  #place: "start" | "thought" | "behind" | "text" = "start";
  /** Text not decided yet. */
  #held = "";
  #close = "";

  /** The server sends thinking separately: treat marks as text. */
  skip(): ThoughtOrText[] {
    const rest = this.end();
    this.#place = "text";
    return rest;
  }

  /** @returns The pieces decided so far. */
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

  /** @returns The held-back rest. */
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
