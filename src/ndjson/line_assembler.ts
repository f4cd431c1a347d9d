/**
 * NDJSON as bytes: whole lines, the byte cap and strict UTF-8, for the daemon's sockets and both ends of an engine's
 * pipes. What a line means, and how bytes are read, is not known here.
 */

/** The first buffer, and all that an idle connection holds, in bytes. */
const SMALL_BUFFER_BYTES = 1024;
/** The largest read buffer; a longer line is held in several. */
const LARGE_BUFFER_BYTES = 64 * 1024;
/** How fast buffers grow while a line goes on. */
const GROWTH = 4;

const NEWLINE = 0x0a;

/** Why the bytes after the last good line are of no use. */
export type Violation = "too_large" | "not_utf8" | "too_many_values";

/**
 * Buffers bytes and emits complete lines as text. Each byte is looked at once and moved at most once, so the work is
 * linear also for a long line that arrives byte by byte.
 */
export class LineAssembler {
  /** The longest line, in bytes without its newline. Looked at again whenever bytes arrive. */
  maxBytes: number;
  readonly #smallBytes: number;
  #violation: Violation | undefined;
  #lines = 0;
  /** Full buffers of the line that is arriving; there is no newline in them. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;
  #buffer: Uint8Array<ArrayBuffer>;
  #used = 0;

  /**
   * @param maxBytes The longest line, in bytes without its newline.
   * @param smallBytes The first buffer, in bytes.
   */
  constructor(maxBytes: number, smallBytes = SMALL_BUFFER_BYTES) {
    this.maxBytes = maxBytes;
    this.#smallBytes = smallBytes;
    this.#buffer = new Uint8Array(smallBytes);
  }

  /** Why nothing more will come out; undefined while something may. */
  get violation(): Violation | undefined {
    return this.#violation;
  }

  /** How many lines have come out. */
  get lines(): number {
    return this.#lines;
  }

  /** Bytes of the line that is still arriving. */
  get heldBytes(): number {
    return this.#fullBytes + this.#used;
  }

  /** Where the next bytes are to be put, never empty; tell `commit` how many they were. */
  space(): Uint8Array<ArrayBuffer> {
    if (this.#used === this.#buffer.length) {
      this.#full.push(this.#buffer);
      this.#fullBytes += this.#used;
      this.#buffer = new Uint8Array(Math.min(this.#used * GROWTH, LARGE_BUFFER_BYTES));
      this.#used = 0;
    }
    return this.#buffer.subarray(this.#used);
  }

  /**
   * Take note of bytes that were put into `space`.
   *
   * @returns The lines that are complete now, each with its newline; `""` for none.
   */
  commit(count: number): string {
    const arrived = this.#buffer.subarray(0, this.#used + count);
    let lineStart = -this.#fullBytes;
    let lines = 0;
    let newline = arrived.indexOf(NEWLINE, this.#used);
    while (newline !== -1 && newline - lineStart <= this.maxBytes) {
      lines++;
      lineStart = newline + 1;
      newline = arrived.indexOf(NEWLINE, lineStart);
    }
    this.#used = arrived.length;
    // What follows a newline is a buffer long at most, and its cap may be another one: it is looked at when it grows.
    const tooLarge = newline !== -1 || (lineStart <= 0 && arrived.length - lineStart > this.maxBytes);
    const text = lineStart > 0 ? this.#take(lineStart, lines) : "";
    if (tooLarge) this.refuse("too_large");
    return text;
  }

  /**
   * Take bytes that came some other way than through `space`.
   *
   * @returns As `commit`.
   */
  push(bytes: Uint8Array): string {
    let text = "";
    for (let at = 0; at < bytes.length && this.#violation === undefined;) {
      const space = this.space();
      const part = bytes.subarray(at, at + space.length);
      space.set(part);
      text += this.commit(part.length);
      at += part.length;
    }
    return text;
  }

  /** The end has come: the last line, if it has no newline. */
  finish(): string {
    if (this.heldBytes <= this.maxBytes) return this.#take(this.#used, this.heldBytes > 0 ? 1 : 0);
    this.refuse("too_large");
    return "";
  }

  /** Emit nothing more. The first violation stands, and what was held is let go. */
  refuse(violation: Violation): void {
    this.#violation ??= violation;
    this.#hold(new Uint8Array());
  }

  /** Decode what is held up to `end` of the buffer, so many lines, and keep the rest. */
  #take(end: number, lines: number): string {
    const parts = [...this.#full, this.#buffer.subarray(0, end)];
    try {
      const text = decode(parts);
      this.#hold(this.#buffer.subarray(end, this.#used));
      this.#lines += lines;
      return text;
    } catch {
      const good = goodLines(parts);
      this.#lines += good.length;
      this.refuse("not_utf8");
      return good.join("");
    }
  }

  /** Start over with a buffer that is as small as may be. */
  #hold(rest: Uint8Array): void {
    this.#full = [];
    this.#fullBytes = 0;
    const size = Math.max(this.#smallBytes, Math.min(rest.length * 2, LARGE_BUFFER_BYTES));
    if (size !== this.#buffer.length) this.#buffer = new Uint8Array(size);
    this.#buffer.set(rest);
    this.#used = rest.length;
  }
}

/** For what is in one piece, which needs no state. */
const strict = strictDecoder();

function strictDecoder(): TextDecoder {
  // A byte order mark is no part of JSON: it is kept, and refused as such.
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
}

function decode(parts: readonly Uint8Array[]): string {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return strict.decode(only);
  const decoder = strictDecoder();
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}

/** The lines before the first that is not UTF-8. No character holds a newline's byte, so lines stand for themselves. */
function goodLines(parts: readonly Uint8Array[]): string[] {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const good: string[] = [];
  let start = 0;
  try {
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      good.push(strict.decode(bytes.subarray(start, end + 1)));
      start = end + 1;
    }
    return good;
  } catch {
    return good;
  }
}

/**
 * Split what an assembler emits.
 *
 * @param text Lines, each with its newline.
 * @returns The lines without their newlines.
 */
export function splitLines(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  lines.pop();
  return lines;
}
