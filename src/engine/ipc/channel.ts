/**
 * The two directions to the daemon: a private socket where the monitor started both, pipes otherwise. Both are used
 * synchronously, between two steps: a loop that rarely awaits would get asynchronous reads late, because not every turn
 * of the event loop polls them.
 */
import { JsonLines } from "../../ndjson/json_lines.ts";
import type { EngineEvent, FromEngine, ToEngine } from "./messages.ts";

/** The daemon sent something that is not a message. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
}

/** Source of lines. */
export interface Input {
  /** Blocks until there is input; `null` at the end. */
  readSync(buffer: Uint8Array<ArrayBuffer>): number | null;
  /** Whether `readSync` would return without blocking, now or within this many milliseconds. */
  readable(ms?: number): boolean;
}

/** Destination of lines. */
export interface Output {
  /** Blocks until something is written; returns the number of bytes. */
  writeSync(bytes: Uint8Array<ArrayBuffer>): number;
}

const READ_BYTES = 64 * 1024;
/** Bytes read between two steps; the rest is read after the next step. */
const READS_PER_TURN = 16;
/**
 * Events of several steps travel together as long as none waits longer than this, in milliseconds: each message wakes
 * daemon, bridge and clients on cores that compute. It is as often as a screen shows new text.
 */
export const HOLD_MS = 50;
/** Silence while working, in milliseconds, after which the engine says that it lives. */
const BEAT_MS = 1000;
const encoder = new TextEncoder();

export class Inbox {
  readonly #input: Input;
  readonly #lines = new JsonLines(Infinity, READ_BYTES);
  #ended = false;

  constructor(input: Input) {
    this.#input = input;
  }

  /** The daemon has closed the pipe. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What has come in. May be nothing. */
  take(): ToEngine[] {
    const messages: ToEngine[] = [];
    for (let i = 0; i < READS_PER_TURN && !this.#ended && this.#input.readable(); i++) this.#read(messages);
    return messages;
  }

  /**
   * Sleep until there is a message, or the end.
   *
   * @param ms Milliseconds after which there may be none; absent: however long that takes.
   */
  wait(ms?: number): ToEngine[] {
    const messages: ToEngine[] = [];
    while (messages.length === 0 && !this.#ended) {
      if (ms !== undefined && !this.#input.readable(ms)) break;
      this.#read(messages);
    }
    return messages;
  }

  #read(messages: ToEngine[]): void {
    const count = this.#input.readSync(this.#lines.space());
    if (count === null) {
      this.#ended = true;
      return;
    }
    try {
      for (const message of this.#lines.commit(count)) messages.push(toMessage(message));
    } catch (error) {
      throw error instanceof SyntaxError ? new ChannelError("A line on the engine's stdin is not JSON") : error;
    }
    if (this.#lines.violation !== undefined) throw new ChannelError("A line on the engine's stdin is not UTF-8");
  }
}

const OPS: ReadonlySet<unknown> = new Set<ToEngine["op"]>([
  "load",
  "check",
  "inspect",
  "fetched",
  "generate",
  "embed",
  "tokenizer",
  "more",
  "rerank",
  "cancel",
  "pause",
  "resume",
]);

function toMessage(message: unknown): ToEngine {
  const op = typeof message === "object" && message !== null && "op" in message ? message.op : undefined;
  if (!OPS.has(op)) throw new ChannelError("A line on the engine's stdin is not a message the engine knows");
  return message as ToEngine;
}

export class Outbox {
  readonly #send: (message: FromEngine) => void;
  readonly #now: () => number;
  /** Requests that have said something already: only what they say next may be held. */
  readonly #begun = new Set<number>();
  #held: EngineEvent[] = [];
  #lastSent: number;
  /** When the newest events came, and how long after those before. */
  #lastAdded: number;
  #stepMs = 0;

  constructor(options: { readonly send?: (message: FromEngine) => void; readonly now?: () => number } = {}) {
    this.#send = options.send ?? send;
    this.#now = options.now ?? ((): number => performance.now());
    this.#lastSent = this.#lastAdded = this.#now();
  }

  /**
   * What a step brought. A request's first event, its last and a call are never held, others only if the next step is
   * expected to end in time.
   */
  add(events: readonly EngineEvent[]): void {
    const now = this.#now();
    if (events.length > 0) {
      this.#stepMs = now - this.#lastAdded;
      this.#lastAdded = now;
    }
    let urgent = false;
    for (const event of events) {
      this.#held.push(event);
      if (isLast(event)) {
        this.#begun.delete(event.id);
        urgent = true;
      } else if ("call" in event || !this.#begun.has(event.id)) {
        this.#begun.add(event.id);
        urgent = true;
      }
    }
    const silence = now - this.#lastSent;
    if (this.#held.length > 0) {
      if (urgent || silence + (events.length > 0 ? this.#stepMs : 0) > HOLD_MS) this.flush();
    } else if (silence >= BEAT_MS) {
      this.#deliver({ type: "beat" });
    }
  }

  /** The request was cancelled: nothing more of it is sent. */
  forget(id: number): void {
    this.#begun.delete(id);
    this.#held = this.#held.filter((event) => event.id !== id);
  }

  /** Send what is held. */
  flush(): void {
    if (this.#held.length === 0) return;
    this.#deliver({ type: "step", events: this.#held });
    this.#held = [];
  }

  #deliver(message: FromEngine): void {
    this.#send(message);
    this.#lastSent = this.#now();
  }
}

function isLast(event: EngineEvent): boolean {
  return !("t" in event || "think" in event || "call" in event || "misread" in event || "processed" in event);
}

/** What leads to the daemon. */
let output: Output = Deno.stdout;

/** From now on write to something else than stdout. */
export function sendThrough(to: Output): void {
  output = to;
}

/** Write a message; blocks while the daemon does not read. */
export function send(message: FromEngine): void {
  sendText(JSON.stringify(message) + "\n");
}

/** Write something that is no message. */
export function sendText(text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(output.writeSync(bytes));
}
