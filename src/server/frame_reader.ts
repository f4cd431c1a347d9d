/**
 * Lines of a connection: whole lines, the byte cap, strict UTF-8 and how far ahead a connection is read. Bytes are held
 * by `LineAssembler`, lines are split by `TextLineStream`.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { InvalidRequestError } from "../inference/errors.ts";
import { LineAssembler } from "../ndjson/line_assembler.ts";
import { FrameTooLargeError } from "../pipeline/errors.ts";
import { turn } from "../pipeline/turn.ts";
import { MAX_JSON_VALUES } from "../inference/json_bounds.ts";
import { tooManyValues } from "./json_line.ts";
import type { Account } from "./memory_budget.ts";
import { ValueCounter } from "./value_counter.ts";

/** How much is thrown away at a time, in bytes. */
const WASTE_BYTES = 64 * 1024;
/** After so many bytes a connection that always has more gives way to the others. */
const BYTES_PER_TURN = 512 * 1024;
/** Texts up to this length are rid of blank lines at once; a longer one is hardly more than one line. */
const MAX_BATCH_LENGTH = 128 * 1024;
/** More than so many characters of blank lines in one read are a flood. */
const FLOOD_LENGTH = 1024;
/** How long a connection that floods is not read after each read, in milliseconds. */
const FLOOD_REST_MS = 10;

const BLANK = /^[ \t\r]*$/;
/** Without the flag `m`, which takes a carriage return within a line for its end. */
const BLANK_LINES = /(^|\n)(?:[ \t\r]*\n)+/g;

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
export class FrameReader implements Disposable {
  readonly #source: ByteSource;
  readonly #events: ReadEvents;
  readonly #assembler: LineAssembler;
  readonly #text: WritableStreamDefaultWriter<string>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #account: Pick<Account, "hold" | "room"> | undefined;
  readonly #ended: Promise<ReadEnd>;
  #readAheadBytes: number;
  /** Lines taken from the splitter. */
  #taken = 0;
  /** Blank lines that never got to the splitter. */
  #blank = 0;
  /** Bytes read since the others had their turn. */
  #sinceTurn = 0;
  readonly #values = new ValueCounter();
  #refused = false;
  #disposed = false;
  /** Resolves when waiting for room has no use any more. */
  readonly #hopeless = Promise.withResolvers<void>();
  #rest: { readonly timer: ReturnType<typeof setTimeout>; readonly wake: () => void } | undefined;
  /** Size of the lines given since the last time none was left, in UTF-16 units. */
  #aheadSize = 0;
  /** Somebody waits for a line. */
  #wanted = false;
  #discarding = false;
  #paused = false;
  #stopped = false;
  /** Wakes the reading up from its pause. */
  #resume: (() => void) | undefined;

  /** @param account Is told what is held; absent: nobody is. */
  constructor(
    source: ByteSource,
    limits: ReadLimits,
    events: ReadEvents,
    account?: Pick<Account, "hold" | "room">,
  ) {
    this.#source = source;
    this.#events = events;
    this.#account = account;
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
    if (this.#refused) {
      return new FrameTooLargeError(
        "The daemon holds as many bytes of requests as it may, and this client has the most",
      );
    }
    if (violation === "too_many_values") return tooManyValues();
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

  /** Whether what was arriving was let go. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Whether no line waits to be taken. */
  get dry(): boolean {
    return this.#assembler.lines - this.#blank === this.#taken;
  }

  /** Let go of what is arriving: there is no room for it. Lines that were read before can still be taken. */
  refuse(): void {
    if (this.#stopped) return;
    this.#refused = true;
    this.#hopeless.resolve();
    this.#assembler.refuse("too_large");
    this.#finish("violation");
  }

  /** Stop resting; what is read from belongs to somebody else. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#hopeless.resolve();
    clearTimeout(this.#rest?.timer);
    this.#rest?.wake();
  }

  /** The next line that is not blank, without its newline; undefined when no more come. */
  async next(): Promise<string | undefined> {
    while (true) {
      if (this.dry) {
        this.#aheadSize = 0;
        this.#tell();
        await this.#events.onDry();
      }
      this.#wanted = true;
      this.#resume?.();
      const { value } = await this.#lines.read();
      this.#wanted = false;
      if (value === undefined) return undefined;
      this.#taken++;
      if (!BLANK.test(value)) return value;
    }
  }

  /** Throw away what comes from now on; resolves at the end of it, or when the connection breaks. */
  async discard(): Promise<void> {
    this.#discarding = true;
    this.#resume?.();
    if (await this.#ended !== "violation") return;
    const waste = new Uint8Array(WASTE_BYTES);
    try {
      for (let count = await this.#source.read(waste); count !== null; count = await this.#source.read(waste)) {
        await this.#giveWay(count);
      }
    } catch {
      // Broken is as good as ended here.
    }
  }

  async #run(): Promise<ReadEnd> {
    // Whoever listens to the events has no reader before the constructor has returned.
    await Promise.resolve();
    const end = await this.#read().catch((): ReadEnd => "broken");
    this.#finish(end);
    return end;
  }

  #finish(end: ReadEnd): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // Waits for lines nobody may ever take, so nothing waits for it.
    void this.#text.close();
    this.#events.onEnd(end);
  }

  async #read(): Promise<ReadEnd> {
    while (true) {
      if (!this.#mayRead()) await this.#pause();
      await this.#waitForRoom();
      if (this.#discarding || this.#refused) return "violation";
      const space = this.#assembler.space();
      const count = await this.#source.read(space);
      if (this.#discarding) return count === null ? "eof" : "violation";
      if (this.#refused) return "violation";
      // Before they are committed: what is kept of them moves then.
      this.#values.add(space.subarray(0, count ?? 0));
      const flood = this.#give(count === null ? this.#assembler.finish() : this.#assembler.commit(count));
      if (this.#values.values > MAX_JSON_VALUES) this.#assembler.refuse("too_many_values");
      if (this.#assembler.violation !== undefined) return "violation";
      if (count === null) return "eof";
      this.#tell();
      if (this.#refused) return "violation";
      if (flood) await this.#relax();
      else await this.#giveWay(count);
    }
  }

  async #waitForRoom(): Promise<void> {
    for (let room = this.#account?.room(); room !== undefined; room = this.#account?.room()) {
      if (this.#stopped || this.#discarding || this.#disposed) return;
      this.#paused = true;
      this.#events.onPause();
      await Promise.race([room, this.#hopeless.promise]);
      this.#paused = false;
    }
  }

  /** Tell what is held: what arrives, and what is served or waits behind it. */
  #tell(): void {
    this.#account?.hold(this.#assembler.heldBytes, this.#aheadSize);
  }

  /** Reads that never have to wait would keep everybody else waiting. */
  async #giveWay(count: number): Promise<void> {
    this.#sinceTurn += count;
    if (this.#sinceTurn < BYTES_PER_TURN) return;
    this.#sinceTurn = 0;
    await turn();
  }

  async #relax(): Promise<void> {
    await new Promise<void>((wake) => this.#rest = { timer: setTimeout(wake, FLOOD_REST_MS), wake });
    this.#rest = undefined;
  }

  #mayRead(): boolean {
    if (this.#discarding || (this.#wanted && this.dry)) return true;
    return this.#aheadSize + this.#assembler.heldBytes < this.#readAheadBytes;
  }

  async #pause(): Promise<void> {
    this.#paused = true;
    this.#events.onPause();
    while (!this.#mayRead()) await new Promise<void>((resolve) => this.#resume = resolve);
    this.#paused = false;
  }

  /** @returns Whether hardly anything but blank lines came. */
  #give(text: string): boolean {
    if (text === "") return false;
    const lines = text.length <= MAX_BATCH_LENGTH ? text.replace(BLANK_LINES, "$1") : text;
    const dropped = text.length - lines.length;
    if (dropped > 0) this.#blank += newlines(text) - newlines(lines);
    if (lines !== "") {
      this.#aheadSize += lines.length;
      void this.#text.write(lines);
    }
    return lines === "" || dropped > FLOOD_LENGTH;
  }
}

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
