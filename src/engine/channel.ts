/**
 * The two pipes to the daemon: lines come in while the engine computes nothing, messages go out at once.
 */
import type { FromEngine, ToEngine } from "./messages.ts";

/** The daemon said something that is no message. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
}

const NEWLINE = 10;
const READ_BYTES = 64 * 1024;
const encoder = new TextEncoder();

/** Messages from the daemon, until it closes the pipe. */
export async function* messagesFrom(input: { read(buffer: Uint8Array): Promise<number | null> }): AsyncGenerator<
  ToEngine
> {
  const buffer = new Uint8Array(READ_BYTES);
  let decoder = new TextDecoder();
  let parts: string[] = [];
  for (;;) {
    const count = await input.read(buffer);
    if (count === null) return;
    let from = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0 && end < count; end = buffer.indexOf(NEWLINE, from)) {
      parts.push(decoder.decode(buffer.subarray(from, end)));
      from = end + 1;
      yield toMessage(parts.join(""));
      parts = [];
      decoder = new TextDecoder();
    }
    if (from < count) parts.push(decoder.decode(buffer.subarray(from, count), { stream: true }));
  }
}

function toMessage(line: string): ToEngine {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    throw new ChannelError("A line on the engine's stdin is not JSON");
  }
  const op = typeof message === "object" && message !== null && "op" in message ? message.op : undefined;
  if (op !== "load" && op !== "generate" && op !== "cancel" && op !== "pause" && op !== "resume") {
    throw new ChannelError("A line on the engine's stdin is not a message the engine knows");
  }
  return message as ToEngine;
}

/** Write a message; blocks while the daemon does not read. */
export function send(message: FromEngine): void {
  let bytes = encoder.encode(JSON.stringify(message) + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}
