/**
 * A process, such as an engine, that exchanges lines of JSON with the daemon, whoever starts it. Knows nothing of what
 * the messages mean.
 */
import { gradualJson, isLarge } from "@inferd/client/protocol";
import { JsonLines } from "../ndjson/json_lines.ts";

/** Large enough for many steps of all slots; a longer message only takes another read. */
export const READ_BYTES = 64 * 1024;
/** Far more than the answer to the largest request takes, in bytes: its vectors, or its tokens. */
const MOST_MESSAGE_BYTES = 256 * 1024 * 1024;
/** Longer lines of stderr are truncated and end with "…", in UTF-16 units. */
const MOST_STDERR_CHARS = 2048;

export type ProcessKind = "engine" | "libraries" | "chat_formats";

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

/** A process was not started, since there is no socket that it could connect to: its folder is full or gone, say. */
export class NoMeetingError extends Error {
  override readonly name = "NoMeetingError";
}

export interface JsonProcess<Out> {
  /** Undefined until it runs. */
  readonly pid: number | undefined;
  /** Resolves when the process has exited and all of its messages have been delivered. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Send a message; dropped silently if the process has exited. */
  send(message: Out): void;
  kill(reason: string): void;
  /** Ask it to exit, and kill it after a grace period. */
  close(graceMs: number): Promise<void>;
}

/** @throws {Error} If it is known at once that it cannot be started. */
export type StartProcess = <In, Out>(kind: ProcessKind, listener: ProcessListener<In>) => JsonProcess<Out>;

/** Wait until a process that was asked to exit has done so; kill it after a grace period. */
export async function exitWithin(process: Pick<JsonProcess<never>, "exited" | "kill">, graceMs: number): Promise<void> {
  const timer = setTimeout(() => process.kill("It did not stop when asked"), graceMs);
  try {
    await process.exited;
  } finally {
    clearTimeout(timer);
  }
}

/** Send a child process a signal, unless it exited just now. */
export function signalChild(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}

const encoder = new TextEncoder();

export function toLine(message: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message) + "\n");
}

/** A line in pieces, of which each is made when the one before has been sent: only one if it is short. */
export function toPieces(message: unknown): Iterable<Uint8Array<ArrayBuffer>> {
  return isLarge(message) ? gradualJson(message, "\n") : [toLine(message)];
}

/**
 * Deliver messages until the end of the stream. Hot path: one read per step.
 *
 * @param read Reads what is available into the given buffer; undefined at the end.
 * @param maxBytes Maximum length of a message in bytes; default: {@linkcode MOST_MESSAGE_BYTES}.
 * @throws {Error} If a line is not a message: a lost message would leave a request waiting forever.
 */
export async function readMessages<In>(
  read: (buffer: Uint8Array<ArrayBuffer>) => Promise<Uint8Array<ArrayBuffer> | undefined>,
  onMessage: (message: In) => void,
  maxBytes: number = MOST_MESSAGE_BYTES,
): Promise<void> {
  const lines = new JsonLines(maxBytes, READ_BYTES);
  let buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const bytes = await read(buffer);
    if (bytes === undefined) return;
    for (const message of lines.push(bytes)) onMessage(message as In);
    if (lines.violation !== undefined) throw new TypeError(`Not a message: ${lines.violation}`);
    buffer = new Uint8Array(bytes.buffer);
  }
}

/** Deliver a process's stderr line by line, very long ones truncated, until its end. Never rejects. */
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
      rest = truncated(lines.pop() ?? "");
      for (const line of lines) await onLine(truncated(line));
    }
  } catch {
    // The pipe broke; nothing more will arrive.
  }
  if (rest !== "") await onLine(rest);
}

/** A truncated line that grows is truncated at the same place. */
function truncated(line: string): string {
  return line.length > MOST_STDERR_CHARS ? `${line.slice(0, MOST_STDERR_CHARS - 1)}…` : line;
}
