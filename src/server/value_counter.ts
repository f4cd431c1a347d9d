/** Counts the JSON values of a line while it arrives, so that one with too many is refused before it is complete. */

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/** Counts values of the line that is arriving. */
export class ValueCounter {
  #values = 1;
  #inString = false;
  /** The last byte was a backslash that escapes the next one. */
  #escaped = false;

  /** How many values the line has at least; no less than its commas, brackets and braces outside of strings say. */
  get values(): number {
    return this.#values;
  }

  /** Count the values in bytes that have arrived. A line that ends among them is skipped: it is complete. */
  add(bytes: Uint8Array): void {
    const start = bytes.lastIndexOf(NEWLINE) + 1;
    if (start > 0) {
      this.#values = 1;
      this.#inString = this.#escaped = false;
    }
    for (let at = start; at < bytes.length;) {
      if (this.#inString) at = this.#skipString(bytes, at);
      else {
        const byte = bytes[at++];
        if (byte === QUOTE) this.#inString = true;
        else if (byte === COMMA || byte === BRACKET || byte === BRACE) this.#values++;
      }
    }
  }

  /** @returns Where to go on: after the next quote, which ends the string unless it is escaped, or beyond the end. */
  #skipString(bytes: Uint8Array, at: number): number {
    if (this.#escaped) {
      this.#escaped = false;
      return at + 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    const end = quote === -1 ? bytes.length : quote;
    let backslashes = 0;
    while (end - backslashes > at && bytes[end - backslashes - 1] === BACKSLASH) backslashes++;
    const isEscaped = backslashes % 2 === 1;
    if (quote === -1) this.#escaped = isEscaped;
    else this.#inString = isEscaped;
    return end + 1;
  }
}
