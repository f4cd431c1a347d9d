/**
 * NDJSON framing: complete lines, the size limit and strict UTF-8, for the daemon's sockets and both ends of an
 * engine's pipes. Independent of the lines' meaning and of I/O.
 */

/** Initial buffer size, and all that an idle connection holds, in bytes. */
const SMALL_BUFFER_BYTES = 1024;
/** Maximum buffer size; longer lines span several buffers. */
const LARGE_BUFFER_BYTES = 64 * 1024;
const GROWTH = 4;

const NEWLINE = 0x0a;

/** Why bytes after the last valid line are rejected. */
export type Violation = "too_large" | "not_utf8" | "too_many_values";

/**
 * Buffers bytes and emits complete lines as text. Each byte is scanned once and moved at most once, so the cost is
 * linear even for a long line that arrives byte by byte.
 */
export class LineAssembler {
  /** Maximum line length in bytes, without newline. May change; read whenever bytes arrive. */
  maxBytes: number;
  readonly #smallBytes: number;
  #violation: Violation | undefined;
  #lines = 0;
  /** Full buffers of the current line; they contain no newline. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;
  #buffer: Uint8Array<ArrayBuffer>;
  #used = 0;
  /** Decodes the current line, whose beginning has been handed out. */
  #ahead: TextDecoder | undefined;

  /**
   * @param maxBytes Maximum line length in bytes, without newline.
   * @param smallBytes Initial buffer size in bytes.
   */
  constructor(maxBytes: number, smallBytes = SMALL_BUFFER_BYTES) {
    this.maxBytes = maxBytes;
    this.#smallBytes = smallBytes;
    this.#buffer = new Uint8Array(smallBytes);
  }

  /** Set once input was rejected; nothing more is emitted then. */
  get violation(): Violation | undefined {
    return this.#violation;
  }

  get lines(): number {
    return this.#lines;
  }

  /** Bytes of the incomplete line. */
  get heldBytes(): number {
    return this.#fullBytes + this.#used;
  }

  /** Free space for the next bytes, never empty; report them with `commit`. */
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
   * Process bytes that were written to `space`.
   *
   * @returns Complete lines, each with its newline; `""` for none.
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
    // Text after a newline is at most one buffer long, and its limit may differ: it is checked when it grows.
    const tooLarge = newline !== -1 || (lineStart <= 0 && arrived.length - lineStart > this.maxBytes);
    const text = lineStart > 0 ? this.#take(lineStart, lines) : "";
    if (tooLarge) this.refuse("too_large");
    return text;
  }

  /**
   * Process bytes from elsewhere.
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

  /**
   * Hand out more of the current line before it is complete. What `commit` and `finish` return then begins with the
   * rest of this line.
   *
   * @returns A part that contains no newline; undefined: there is no more of it, or it is not UTF-8.
   */
  takeAhead(): string | undefined {
    const part = this.#full.shift();
    if (part === undefined) return undefined;
    try {
      return (this.#ahead ??= strictDecoder()).decode(part, { stream: true });
    } catch {
      this.refuse("not_utf8");
      return undefined;
    }
  }

  /** Emits the last line at the end of input, if it lacks a newline. */
  finish(): string {
    if (this.heldBytes <= this.maxBytes) return this.#take(this.#used, this.heldBytes > 0 ? 1 : 0);
    this.refuse("too_large");
    return "";
  }

  /** Stop emitting. The first violation is kept; buffered bytes are released. */
  refuse(violation: Violation): void {
    this.#violation ??= violation;
    this.#hold(new Uint8Array());
  }

  /** Decodes the buffered bytes up to `end`, and keeps the rest. */
  #take(end: number, lines: number): string {
    const ahead = this.#ahead;
    let start = 0;
    let first = "";
    if (ahead !== undefined) {
      const newline = this.#buffer.subarray(0, end).indexOf(NEWLINE);
      start = newline === -1 ? end : newline + 1;
      try {
        const last = [...this.#full.splice(0), this.#buffer.subarray(0, start)];
        first = last.map((part) => ahead.decode(part, { stream: true })).join("") + ahead.decode();
      } catch {
        this.refuse("not_utf8");
        return "";
      }
    }
    const parts = [...this.#full, this.#buffer.subarray(start, end)];
    try {
      const text = first + decode(parts);
      this.#hold(this.#buffer.subarray(end, this.#used));
      this.#lines += lines;
      return text;
    } catch {
      const good = goodLines(parts);
      this.#lines += good.length + (ahead === undefined ? 0 : 1);
      this.refuse("not_utf8");
      return first + good.join("");
    }
  }

  /** Restarts with the smallest possible buffer. */
  #hold(rest: Uint8Array): void {
    this.#full = [];
    this.#fullBytes = 0;
    this.#ahead = undefined;
    const size = Math.max(this.#smallBytes, Math.min(rest.length * 2, LARGE_BUFFER_BYTES));
    if (size !== this.#buffer.length) this.#buffer = new Uint8Array(size);
    this.#buffer.set(rest);
    this.#used = rest.length;
  }
}

/** Stateless decoder for input in one piece. */
const strict = strictDecoder();

function strictDecoder(): TextDecoder {
  // A byte order mark is not JSON: it is kept, so that the parser rejects it.
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
}

function decode(parts: readonly Uint8Array[]): string {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return strict.decode(only);
  const decoder = strictDecoder();
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}

/**
 * Lines before the first that is not UTF-8. Newline bytes never occur within a character, so lines decode
 * independently.
 */
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
 * @param text Lines, each with its newline.
 * @returns The lines without newlines.
 */
export function splitLines(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  lines.pop();
  return lines;
}
