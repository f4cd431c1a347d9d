/**
 * Test data for the store: a file of repeated pieces, the first of which begins with a GGUF header for the whole file.
 */
import { headOfFile } from "./gguf.ts";

const PIECE_BYTES = 1024 * 1024;
/** Limit of `getRandomValues`. */
const RANDOM_BYTES = 65_536;

/**
 * Create a piece.
 *
 * @param bytes Size of the file.
 * @returns A new random piece.
 */
export function makePiece(bytes: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < piece.length; at += RANDOM_BYTES) crypto.getRandomValues(piece.subarray(at, at + RANDOM_BYTES));
  piece.set(headOfFile(bytes));
  return piece;
}

/**
 * Repeat a piece.
 *
 * @param piece The piece.
 * @param bytes Total number of bytes.
 */
export function* repeated(piece: Uint8Array<ArrayBuffer>, bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
}
