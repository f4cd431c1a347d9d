/**
 * Lines of a connection: whole lines, the byte cap, strict UTF-8 and how far ahead a connection is read. Bytes are held
 * by `LineAssembler`, lines are split by `TextLineStream`.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { InvalidRequestError } from "../inference/errors.ts";
import { LineAssembler } from "../ndjson/line_assembler.ts";
import { FrameTooLargeError } from "../pipeline/errors.ts";

/** How much is thrown away at a time, in bytes. */
const WASTE_BYTES = 64 * 1024;

/** Why the bytes after the last good line are of no use. */
export type Violation = FrameTooLargeError | InvalidRequestError;

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
  /** Lines taken from the splitter. */
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
    const { violation, maxBytes } = this.#assembler;
    if (violation === undefined) return undefined;
    return violation === "too_large"
      ? new FrameTooLargeError(`A frame may have at most ${maxBytes} bytes`)
      : new InvalidRequestError("The line is not valid UTF-8");
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
    const waste = new Uint8Array(WASTE_BYTES);
    try {
      while (await this.#source.read(waste) !== null);
    } catch {
      // Broken is as good as ended here.
    }
  }

  get #dry(): boolean {
    return this.#assembler.lines === this.#taken;
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
      if (this.#assembler.violation !== undefined) return "violation";
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
    void this.#text.write(text);
  }
}
