/** Finds the end of a JSON object that arrives in pieces, in linear time. Does not validate it. */
export class ObjectEnd {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #state: "before" | "inside" | "ended" | "no object" = "before";

  get ended(): boolean {
    return this.#state === "ended";
  }

  /** Whether only white space has arrived. */
  get blank(): boolean {
    return this.#state === "before";
  }

  take(text: string): void {
    for (const character of text) {
      if (this.#state === "ended" || this.#state === "no object") return;
      if (this.#state === "inside") this.#step(character);
      else if (character === "{") {
        this.#state = "inside";
        this.#depth = 1;
      } else if (character.trim() !== "") this.#state = "no object";
    }
  }

  #step(character: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inString) {
      if (character === "\\") this.#escaped = true;
      else if (character === '"') this.#inString = false;
    } else if (character === '"') this.#inString = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if ((character === "}" || character === "]") && --this.#depth === 0) this.#state = "ended";
  }
}
