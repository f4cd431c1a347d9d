/**
 * A process that speaks with the daemon in lines of JSON, an engine above all, whoever starts it. What the messages mean
 * is not known here.
 */
import { LineAssembler, splitLines } from "../ndjson/line_assembler.ts";

/** A step for all slots fits many times; a longer read only means one more round. */
export const READ_BYTES = 64 * 1024;
/** A longer line of stderr is cut, in UTF-16 units. */
const MOST_STDERR_CHARS = 2048;

/** What the daemon has started for it. */
export type ProcessKind = "engine" | "libraries" | "chat_formats";

/** Who listens to a process. */
export interface ProcessListener<In> {
  onMessage(message: In): void;
  /** A line of what native code and runtime print. */
  onStderr(line: string): void;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number;
  readonly signal: string | null;
  /** Why it was killed, if this side did it. */
  readonly killedFor: string | undefined;
  /** Why it never ran. */
  readonly notStarted?: Error;
}

/** A process that was started. */
export interface JsonProcess<Out> {
  /** Undefined until it runs. */
  readonly pid: number | undefined;
  /** Resolves when the process is gone and everything it said has been delivered. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Say something; lost without notice when the process is gone. */
  send(message: Out): void;
  /** End it at once. */
  kill(reason: string): void;
  /**
   * Ask it to leave, and kill it when it does not.
   *
   * @param graceMs How long it may take.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * Start a process.
 *
 * @throws {Error} If it cannot be started, where that is known at once.
 */
export type StartProcess = <In, Out>(kind: ProcessKind, listener: ProcessListener<In>) => JsonProcess<Out>;

const encoder = new TextEncoder();

/** A message as a line. */
export function toLine(message: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message) + "\n");
}

/**
 * Deliver what comes in, to its end. The hot path: one read a step.
 *
 * @param read As much as there is, in the buffer that it is given; undefined at the end.
 * @param onMessage Gets each message.
 * @throws {Error} If something else comes in than a message: one lost message would leave a request waiting forever.
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
 * Deliver what a process prints, line by line, to its end. Never rejects.
 *
 * @param stream Its stderr.
 * @param onLine Gets each line, cut where it is very long; waited for.
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
    // The pipe broke: nothing more will come.
  }
  if (rest !== "") await onLine(rest);
}
