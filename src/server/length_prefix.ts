/** Length-prefixed frames: four bytes, big-endian. */
import type { ByteSource } from "./frame_reader.ts";

const HEADER_BYTES = 4;
/** Buffer growth while a frame arrives, whatever length it claims, in bytes. */
const CHUNK_BYTES = 64 * 1024;

/** The bytes are not a frame; the message does not repeat them. */
export class BadFrameError extends Error {
  override readonly name: string = "BadFrameError";
}

/** The declared length exceeds the limit. */
export class OversizedFrameError extends BadFrameError {
  override readonly name = "OversizedFrameError";
}

/**
 * Read one frame; what comes after it is not read.
 *
 * @param onBytes Told how many bytes are held, after each part; what it returns is waited for before more is read.
 * @returns Its bytes, in order.
 * @throws {BadFrameError} If there is none.
 */
export async function readFrame(
  source: ByteSource,
  maxBytes: number,
  onBytes?: (held: number) => Promise<void> | undefined,
): Promise<readonly Uint8Array[]> {
  const header = new Uint8Array(HEADER_BYTES);
  await fill(source, header, "before its length was complete");
  const length = new DataView(header.buffer).getUint32(0);
  if (length === 0 || length > maxBytes) {
    const message = `The length must be 1 to ${maxBytes}, got ${length}`;
    throw length === 0 ? new BadFrameError(message) : new OversizedFrameError(message);
  }
  const parts: Uint8Array[] = [];
  for (let left = length; left > 0;) {
    const part = new Uint8Array(Math.min(left, CHUNK_BYTES));
    await fill(source, part, `${left} bytes before the frame was complete`);
    parts.push(part);
    left -= part.length;
    await onBytes?.(length - left);
  }
  return parts;
}

export function encodeFrame(text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const frame = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEADER_BYTES);
  return frame;
}

async function fill(source: ByteSource, buffer: Uint8Array, where: string): Promise<void> {
  for (let filled = 0; filled < buffer.length;) {
    let count: number | null;
    try {
      count = await source.read(buffer.subarray(filled));
    } catch {
      // Reset, or closed by us.
      count = null;
    }
    if (count === null) throw new BadFrameError(`The connection ended ${where}`);
    filled += count;
  }
}
