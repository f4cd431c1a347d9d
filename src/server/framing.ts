/**
 * Bytes into lines: the byte cap, whole lines, strict UTF-8, and how far ahead a connection is read. Lines are split by
 * `TextLineStream`; what stands before it only counts and holds, so that a line costs the same however it arrives.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { InvalidRequestError } from "../inference/errors.ts";
import { FrameTooLargeError } from "../pipeline/errors.ts";

/** The first read buffer of a connection, and all that an idle one holds, in bytes. */
const SMALL_BUFFER_BYTES = 1024;
/** The largest read buffer; a longer line is held in several. */
const LARGE_BUFFER_BYTES = 64 * 1024;
/** How fast buffers grow while a line goes on. */
const GROWTH = 4;

const NEWLINE = 0x0a;

/** Why the bytes after the last good line are of no use. */
export type Violation = FrameTooLargeError | InvalidRequestError;

/**
 * Buffers bytes and emits complete lines as text. Each byte is looked at once and moved at most
 * once, so the work is linear also for a long line that arrives byte by byte.
 */
export class LineAssembler {
  /** The longest line, in bytes without its newline. Looked at again whenever bytes arrive. */
  maxBytes: number;
  #violation: Violation | undefined;
  /** Full buffers of the line that is arriving; there is no newline in them. */
  #full: Uint8Array<ArrayBuffer>[] = [];
  #fullBytes = 0;
  #buffer = new Uint8Array(SMALL_BUFFER_BYTES);
  #used = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Why nothing more will come out; undefined while something may. */
  get violation(): Violation | undefined {
    return this.#violation;
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
    let newline = arrived.indexOf(NEWLINE, this.#used);
    while (newline !== -1 && newline - lineStart <= this.maxBytes) {
      lineStart = newline + 1;
      newline = arrived.indexOf(NEWLINE, lineStart);
    }
    this.#used = arrived.length;
    // What follows a newline is a buffer long at most, and its cap may be another one: it is looked at when it grows.
    const tooLarge = newline !== -1 || (lineStart <= 0 && arrived.length - lineStart > this.maxBytes);
    const text = lineStart > 0 ? this.#take(lineStart) : "";
    if (tooLarge) this.#refuse(new FrameTooLargeError(`A frame may have at most ${this.maxBytes} bytes`));
    return text;
  }

  /** The end has come: the last line, if it has no newline. */
  finish(): string {
    if (this.heldBytes <= this.maxBytes) return this.#take(this.#used);
    this.#refuse(new FrameTooLargeError(`A frame may have at most ${this.maxBytes} bytes`));
    return "";
  }

  /** The first violation stands, and what was held is let go. */
  #refuse(violation: Violation): void {
    this.#violation ??= violation;
    this.#hold(new Uint8Array());
  }

  /** Decode what is held up to `end` of the buffer, and keep the rest. */
  #take(end: number): string {
    const parts = [...this.#full, this.#buffer.subarray(0, end)];
    this.#hold(this.#buffer.subarray(end, this.#used));
    const decoder = strictDecoder();
    try {
      return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
    } catch {
      this.#refuse(new InvalidRequestError("The line is not valid UTF-8"));
      return goodLines(parts);
    }
  }

  /** Start over with a buffer that is as small as may be. */
  #hold(rest: Uint8Array): void {
    this.#full = [];
    this.#fullBytes = 0;
    this.#buffer = new Uint8Array(Math.max(SMALL_BUFFER_BYTES, Math.min(rest.length * 2, LARGE_BUFFER_BYTES)));
    this.#buffer.set(rest);
    this.#used = rest.length;
  }
}

function strictDecoder(): TextDecoder {
  // A byte order mark is no part of JSON: it is kept, and refused as such.
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
}

/** The lines before the first that is not UTF-8. No character holds a newline's byte, so lines stand for themselves. */
function goodLines(parts: readonly Uint8Array[]): string {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const decoder = strictDecoder();
  let text = "";
  let start = 0;
  try {
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      text += decoder.decode(bytes.subarray(start, end + 1));
      start = end + 1;
    }
    return text;
  } catch {
    return text;
  }
}

/** What a reader reads from. */
export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/** Why a reader stopped: the other side has said all, it broke a rule of framing, or the connection broke. */
export type ReadEnd = "eof" | "violation" | "broken";

/** How far a reader goes. */
export interface ReadLimits {
  /** The longest line, in bytes. */
  readonly maxBytes: number;
  /** How much is read beyond the line being served, in bytes, give or take a buffer. */
  readonly readAheadBytes: number;
}

/** What a reader tells. */
export interface ReadEvents {
  /** Every line that was read has been taken and another one is asked for; that waits until this resolves. */
  onDry(): Promise<void>;
  /** Enough was read ahead; an end of the connection will not be noticed for a while. */
  onPause(): void;
  /** No more is read. Lines that were read before can still be taken. */
  onEnd(end: ReadEnd): void;
}

/** Reads lines from a connection, ahead of whoever takes them, so that its end is noticed while one is served. */
export class FrameReader {
  readonly #source: ByteSource;
  readonly #events: ReadEvents;
  readonly #assembler: LineAssembler;
  readonly #text: WritableStreamDefaultWriter<string>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #ended: Promise<ReadEnd>;
  #readAheadBytes: number;
  /** Lines given to the splitter and lines taken from it. */
  #given = 0;
  #taken = 0;
  /** Size of the lines given since the last time none was left, in UTF-16 units. */
  #aheadSize = 0;
  /** Somebody waits for a line. */
  #wanted = false;
  #discarding = false;
  #paused = false;
  #stopped = false;
  /** Wakes the reading up from its pause. */
  #resume: (() => void) | undefined;

  constructor(source: ByteSource, limits: ReadLimits, events: ReadEvents) {
    this.#source = source;
    this.#events = events;
    this.#assembler = new LineAssembler(limits.maxBytes);
    this.#readAheadBytes = limits.readAheadBytes;
    const splitter = new TextLineStream();
    this.#text = splitter.writable.getWriter();
    this.#lines = splitter.readable.getReader();
    this.#ended = this.#run();
  }

  /** Why no more lines come, where that is the other side's fault. For when `next` has given the last one. */
  get violation(): Violation | undefined {
    return this.#assembler.violation;
  }

  /** Whether the end of the connection would go unnoticed now. */
  get blind(): boolean {
    return this.#stopped || this.#paused;
  }

  /** Set other limits, from the next line on. */
  allow(limits: ReadLimits): void {
    this.#assembler.maxBytes = limits.maxBytes;
    this.#readAheadBytes = limits.readAheadBytes;
  }

  /** The next line that is not blank, without its newline; undefined when no more come. */
  async next(): Promise<string | undefined> {
    while (true) {
      if (this.#dry) {
        this.#aheadSize = 0;
        await this.#events.onDry();
      }
      this.#wanted = true;
      this.#resume?.();
      const { value } = await this.#lines.read();
      this.#wanted = false;
      if (value === undefined) return undefined;
      this.#taken++;
      if (!/^[ \t\r]*$/.test(value)) return value;
    }
  }

  /** Throw away what comes from now on; resolves at the end of it, or when the connection breaks. */
  async discard(): Promise<void> {
    this.#discarding = true;
    this.#resume?.();
    if (await this.#ended !== "violation") return;
    const waste = new Uint8Array(LARGE_BUFFER_BYTES);
    try {
      while (await this.#source.read(waste) !== null);
    } catch {
      // Broken is as good as ended here.
    }
  }

  get #dry(): boolean {
    return this.#given === this.#taken;
  }

  async #run(): Promise<ReadEnd> {
    // Whoever listens to the events has no reader before the constructor has returned.
    await Promise.resolve();
    const end = await this.#read().catch((): ReadEnd => "broken");
    this.#stopped = true;
    // Waits for lines nobody may ever take, so nothing waits for it.
    void this.#text.close();
    this.#events.onEnd(end);
    return end;
  }

  async #read(): Promise<ReadEnd> {
    while (true) {
      if (!this.#mayRead()) await this.#pause();
      const count = await this.#source.read(this.#assembler.space());
      if (this.#discarding) return count === null ? "eof" : "violation";
      this.#give(count === null ? this.#assembler.finish() : this.#assembler.commit(count));
      if (this.violation !== undefined) return "violation";
      if (count === null) return "eof";
    }
  }

  #mayRead(): boolean {
    if (this.#discarding || (this.#wanted && this.#dry)) return true;
    return this.#aheadSize + this.#assembler.heldBytes < this.#readAheadBytes;
  }

  async #pause(): Promise<void> {
    this.#paused = true;
    this.#events.onPause();
    while (!this.#mayRead()) await new Promise<void>((resolve) => this.#resume = resolve);
    this.#paused = false;
  }

  #give(text: string): void {
    if (text === "") return;
    this.#aheadSize += text.length;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#given++;
    if (!text.endsWith("\n")) this.#given++;
    void this.#text.write(text);
  }
}
