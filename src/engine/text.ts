/**
 * From the bytes of tokens to text that may be sent: characters are whole, and no part of a stop string gets out.
 */

/**
 * How many of these bytes can be sent as whole characters. Bytes that can never become a character count as whole: they
 * are rendered as U+FFFD.
 */
export function wholeCharacters(bytes: Uint8Array): number {
  const last = bytes.length - 1;
  for (let back = 0; back < 3 && back <= last; back++) {
    const byte = bytes[last - back] as number;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return byte > 0xf4 || back + 1 >= length ? bytes.length : last - back;
    }
  }
  return bytes.length;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text of one answer, as it may be sent. */
export class TextStream {
  readonly #stops: readonly string[];
  readonly #longestStop: number;
  #bytes = new Uint8Array(0);
  #held = "";
  #stopped: string | undefined;

  /** @param stops Ends the answer where one of them begins; empty ones are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
    this.#longestStop = Math.max(0, ...this.#stops.map((stop) => stop.length));
  }

  /** The stop string that ended the answer. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** Take a token's bytes; returns the text that may be sent now. */
  push(piece: Uint8Array): string {
    let bytes = piece;
    if (this.#bytes.length > 0) {
      bytes = new Uint8Array(this.#bytes.length + piece.length);
      bytes.set(this.#bytes);
      bytes.set(piece, this.#bytes.length);
    }
    const whole = wholeCharacters(bytes);
    this.#bytes = whole === bytes.length ? NO_BYTES : bytes.slice(whole);
    return this.#release(decoder.decode(bytes.subarray(0, whole)));
  }

  /** Take a token's text where it is known to be whole characters; returns the text that may be sent now. */
  pushText(text: string): string {
    return this.#bytes.length > 0 ? this.push(encoder.encode(text)) : this.#release(text);
  }

  /** The answer is over: what was held back because it might have become a stop string. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return this.#stopped === undefined ? rest : "";
  }

  #release(added: string): string {
    if (this.#longestStop === 0 || added === "") return added;
    const text = this.#held + added;
    let cut = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) {
        cut = at;
        this.#stopped = stop;
      }
    }
    if (cut >= 0) {
      this.#held = "";
      return text.slice(0, cut);
    }
    const keep = this.#possibleStop(text);
    this.#held = keep === 0 ? "" : text.slice(-keep);
    return keep === 0 ? text : text.slice(0, -keep);
  }

  /** Length of the longest end of the text that begins a stop string. */
  #possibleStop(text: string): number {
    for (let length = Math.min(text.length, this.#longestStop - 1); length > 0; length--) {
      const end = text.slice(-length);
      if (this.#stops.some((stop) => stop.length > length && stop.startsWith(end))) return length;
    }
    return 0;
  }
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
