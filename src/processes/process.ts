/**
 * A process, such as an engine, that exchanges lines of JSON with the daemon, whoever starts it. Knows nothing of what
 * the messages mean.
 */
import { LineAssembler, splitLines } from "../ndjson/line_assembler.ts";

/** Large enough for many steps of all slots; a longer message only takes another read. */
export const READ_BYTES = 64 * 1024;
/** Longer lines of stderr are truncated, in UTF-16 units. */
const MOST_STDERR_CHARS = 2048;

/** Kinds of child processes. */
export type ProcessKind = "engine" | "libraries" | "chat_formats";

/** Receives a process's output. */
export interface ProcessListener<In> {
  onMessage(message: In): void;
  /** A line printed by native code or the runtime. */
  onStderr(line: string): void;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number;
  readonly signal: string | null;
  /** Why this side killed it, if it did. */
  readonly killedFor: string | undefined;
  /** Set if it could not be started. */
  readonly notStarted?: Error;
}

/** A started process. */
export interface JsonProcess<Out> {
  /** Undefined until it runs. */
  readonly pid: number | undefined;
  /** Resolves when the process has exited and all of its messages have been delivered. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Send a message; dropped silently if the process has exited. */
  send(message: Out): void;
  /** Kill it immediately. */
  kill(reason: string): void;
  /**
   * Ask it to exit, and kill it after a grace period.
   *
   * @param graceMs The grace period.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * Start a process.
 *
 * @throws {Error} If it is known at once that it cannot be started.
 */
export type StartProcess = <In, Out>(kind: ProcessKind, listener: ProcessListener<In>) => JsonProcess<Out>;

const encoder = new TextEncoder();

/** Encode a message as a line. */
export function toLine(message: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message) + "\n");
}

/**
 * Deliver messages until the end of the stream. Hot path: one read per step.
 *
 * @param read Reads what is available into the given buffer; undefined at the end.
 * @param onMessage Called with each message.
 * @throws {Error} If a line is not a message: a lost message would leave a request waiting forever.
 */
export async function readMessages<In>(
  read: (buffer: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer> | undefined>,
  onMessage: (message: In) => void,
): Promise<void> {
  const assembler = new LineAssembler(Infinity, READ_BYTES);
  let buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const bytes = await read(buffer);
    if (bytes === undefined) return;
    for (const line of splitLines(assembler.push(bytes))) onMessage(JSON.parse(line) as In);
    if (assembler.violation !== undefined) throw new TypeError("Not UTF-8");
    buffer = new Uint8Array(bytes.buffer);
  }
}

/**
 * Deliver a process's stderr line by line until its end. Never rejects.
 *
 * @param stream Its stderr.
 * @param onLine Called with each line, truncated if very long; awaited.
 */
export async function readStderr(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void | Promise<void>,
): Promise<void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = (lines.pop() ?? "").slice(0, MOST_STDERR_CHARS);
      for (const line of lines) await onLine(line.slice(0, MOST_STDERR_CHARS));
    }
  } catch {
    // The pipe broke; nothing more will arrive.
  }
  if (rest !== "") await onLine(rest);
}
