/**
 * Lines of a connection: whole lines, the byte cap, strict UTF-8 and how far ahead a connection is read. Bytes are held
 * by `LineAssembler`, lines are split by `TextLineStream`.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { InvalidRequestError } from "../inference/errors.ts";
import { LineAssembler } from "../ndjson/line_assembler.ts";
import { movedMs, type Pace, UNPACED } from "../ndjson/pace.ts";
import { FrameTooLargeError } from "../pipeline/errors.ts";
import { turn } from "../inference/turn.ts";
import { MAX_JSON_VALUES } from "../inference/json_bounds.ts";
import { LargeLine, tooManyValues } from "./json_line.ts";
import type { Account } from "./memory_budget.ts";
import { ValueCounter } from "./value_counter.ts";

/** How much is discarded per read, in bytes. */
const WASTE_BYTES = 64 * 1024;
/** After this many bytes a connection that always has more lets the others run. */
const BYTES_PER_TURN = 512 * 1024;
/** Texts up to this length lose their blank lines before splitting; a longer one is hardly more than one line. */
const MAX_BATCH_LENGTH = 128 * 1024;
/** More blank characters than this in one read count as a flood. */
const FLOOD_LENGTH = 1024;
/** How long a connection that floods is not read after each read, in milliseconds. */
const FLOOD_REST_MS = 10;

/** Lines of at least so many bytes are parsed while they arrive, after so many bytes each time. */
const LARGE_LINE_BYTES = 1024 * 1024;
/** How long they are parsed before others run, in milliseconds, give or take a buffer. */
const PARSE_MS = 4;
const NEWLINE = 0x0a;
/** What the splitter gets for a large line. Not blank. */
const STAND_IN = "\0";

/** The last parsing of large lines, of whatever connection; others have run since. */
let parsing: Promise<void> = Promise.resolve();

const BLANK = /^[ \t\r]*$/;
/** Without the flag `m`, which would end a line at a carriage return. */
const BLANK_LINES = /(^|\n)(?:[ \t\r]*\n)+/g;

/** Why the bytes after the last valid line cannot be used. */
export type Violation = FrameTooLargeError | InvalidRequestError;

export interface ByteSource {
  read(into: Uint8Array): Promise<number | null>;
}

/** Why a reader stopped: the client ended the stream, broke a framing rule, or the connection broke. */
export type ReadEnd = "eof" | "violation" | "broken";

export interface ReadLimits {
  /** The longest line, in bytes. */
  readonly maxBytes: number;
  /** How much is read beyond the line being served, in bytes, give or take a buffer. */
  readonly readAheadBytes: number;
}

export interface ReadEvents {
  /** All lines have been taken and another is wanted; the request for it waits until this resolves. */
  onDry(): Promise<void>;
  /** The read-ahead limit is reached; the end of the connection will go unnoticed until lines are taken. */
  onPause(): void;
  /** Reading has stopped. Lines read before can still be taken. */
  onEnd(end: ReadEnd): void;
}

/** What a reader shares with others. */
export interface ReadShared {
  /** Where held bytes are counted; absent: nowhere. */
  readonly account?: Pick<Account, "hold" | "room">;
  /** How fast long lines are read; absent: as fast as they come. */
  readonly pace?: Pace;
}

/** Reads lines ahead of their consumer, so that the end of the connection is noticed while a request is served. */
export class FrameReader implements Disposable {
  readonly #source: ByteSource;
  readonly #events: ReadEvents;
  readonly #assembler: LineAssembler;
  readonly #text: WritableStreamDefaultWriter<string>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #account: Pick<Account, "hold" | "room"> | undefined;
  readonly #pace: Pace;
  readonly #ended: Promise<ReadEnd>;
  #readAheadBytes: number;
  #taken = 0;
  /** Blank lines removed before the splitter. */
  #blank = 0;
  /** Bytes read since the other connections last ran. */
  #sinceTurn = 0;
  /** Milliseconds spent on the bytes of a large line since the last pause. */
  #workedMs = 0;
  readonly #values = new ValueCounter();
  /** The incoming line if it is large, and how many of its bytes have been parsed. */
  #large: { readonly line: LargeLine; bytes: number } | undefined;
  /** Large lines that are complete, by their number among all that the splitter gets. */
  readonly #larges = new Map<number, LargeLine>();
  #refused = false;
  #disposed = false;
  /** Resolves when waiting for room is pointless. */
  readonly #hopeless = Promise.withResolvers<void>();
  #rest: { readonly timer: ReturnType<typeof setTimeout>; readonly wake: () => void } | undefined;
  /** Size of the lines delivered since the buffer was last empty, in UTF-16 units. */
  #aheadSize = 0;
  /** The consumer waits for a line. */
  #wanted = false;
  #discarding = false;
  #paused = false;
  #stopped = false;
  /** Ends the reading's pause. */
  #resume: (() => void) | undefined;

  constructor(
    source: ByteSource,
    limits: ReadLimits,
    events: ReadEvents,
    { account, pace = UNPACED }: ReadShared = {},
  ) {
    this.#source = source;
    this.#events = events;
    this.#account = account;
    this.#pace = pace;
    this.#assembler = new LineAssembler(limits.maxBytes);
    this.#readAheadBytes = limits.readAheadBytes;
    const splitter = new TextLineStream();
    this.#text = splitter.writable.getWriter();
    this.#lines = splitter.readable.getReader();
    this.#ended = this.#run();
  }

  /** The client's error that ended the lines, if there was one. Valid once `next` has returned the last line. */
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

  /** Whether the incoming line was dropped. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Whether no line waits to be taken. */
  get dry(): boolean {
    return this.#assembler.lines - this.#blank === this.#taken;
  }

  /** Drop the incoming line for lack of room. Lines read before can still be taken. */
  refuse(): void {
    if (this.#stopped) return;
    this.#refused = true;
    this.#hopeless.resolve();
    this.#assembler.refuse("too_large");
    this.#finish("violation");
  }

  /** Stop the pause timer; the source belongs to the caller. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#hopeless.resolve();
    clearTimeout(this.#rest?.timer);
    this.#rest?.wake();
  }

  /** The next line that is not blank, without its newline; undefined at the end. */
  async next(): Promise<string | LargeLine | undefined> {
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
      const large = this.#larges.get(++this.#taken);
      if (large !== undefined) {
        this.#larges.delete(this.#taken);
        // Its end was parsed just now, and its value is read next.
        await turn();
        if (large.isBlank) continue;
        return large;
      }
      if (!BLANK.test(value)) return value;
    }
  }

  /** Discard everything from now on; resolves at the end of the stream, or when the connection breaks. */
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
      // A broken connection counts as ended here.
    }
  }

  async #run(): Promise<ReadEnd> {
    // The event handlers have no reader until the constructor has returned.
    await Promise.resolve();
    const end = await this.#read().catch((): ReadEnd => "broken");
    this.#finish(end);
    return end;
  }

  #finish(end: ReadEnd): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#large = undefined;
    // Not awaited: it may wait for lines that are never read.
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
      if (this.#mayParse(space.subarray(0, count ?? 0), count === null)) {
        await this.#parseAhead();
        if (this.#refused || this.#discarding) return "violation";
      }
      // Before they are committed, because committing moves what is kept of them.
      this.#values.add(space.subarray(0, count ?? 0));
      const flood = this.#give(this.#withoutLarge(count));
      if (this.#values.values > MAX_JSON_VALUES) this.#assembler.refuse("too_many_values");
      if (this.#assembler.violation !== undefined) return "violation";
      if (count === null) return "eof";
      this.#tell();
      if (this.#refused) return "violation";
      if (flood) await this.#relax();
      else await this.#giveWay(count);
    }
  }

  /**
   * Whether it is time to parse more of a large line.
   *
   * @param arrived Bytes that are not committed.
   * @param isEnd Whether they are the last ones.
   */
  #mayParse(arrived: Uint8Array, isEnd: boolean): boolean {
    const unparsed = this.#assembler.heldBytes - (this.#large?.bytes ?? 0);
    if (unparsed >= LARGE_LINE_BYTES) return true;
    return this.#large !== undefined && (isEnd || arrived.includes(NEWLINE));
  }

  /** Parse what is held of a large line. However many connections have one, others run in between. */
  async #parseAhead(): Promise<void> {
    const large = this.#large ??= { line: new LargeLine(true), bytes: 0 };
    const parse = (): boolean => {
      const start = performance.now();
      let more = true;
      while (more && performance.now() - start < PARSE_MS) {
        const text = this.#refused || this.#disposed ? undefined : this.#assembler.takeAhead();
        if (text === undefined) more = false;
        else large.line.add(text);
      }
      this.#workedMs += performance.now() - start;
      return more;
    };
    for (let more = true; more;) {
      const parsed = parsing.then(parse);
      parsing = parsed.then(turn, turn);
      more = await parsed;
      await this.#pace.rest(this.#workedMs);
      this.#workedMs = 0;
    }
    large.bytes = this.#assembler.heldBytes;
  }

  /** The lines that bytes complete, with a stand-in for a large one. */
  #withoutLarge(count: number | null): string {
    const large = this.#large;
    const before = this.#assembler.lines;
    const bytes = this.#assembler.heldBytes;
    const text = count === null ? this.#assembler.finish() : this.#assembler.commit(count);
    if (large === undefined || this.#assembler.lines === before) return text;
    const newline = text.indexOf("\n");
    const end = newline === -1 ? text.length : newline;
    large.line.add(text.slice(0, end));
    this.#larges.set(before - this.#blank + 1, large.line);
    this.#aheadSize += bytes;
    this.#large = undefined;
    return STAND_IN + text.slice(end);
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

  /** Report the held bytes: those arriving, and those being served or waiting. */
  #tell(): void {
    this.#account?.hold(this.#assembler.heldBytes, this.#aheadSize);
  }

  /** Let others run: reads that never wait would starve them. */
  async #giveWay(count: number): Promise<void> {
    this.#sinceTurn += count;
    if (this.#sinceTurn < BYTES_PER_TURN) return;
    const moved = movedMs(this.#sinceTurn);
    this.#sinceTurn = 0;
    await (this.#pace.rest(moved) ?? turn());
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
