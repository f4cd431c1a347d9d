/** The file of the store's benchmark: one piece, which begins with the head of the whole file, again and again. */
import { headOfFile } from "./gguf.ts";

const PIECE_BYTES = 1024 * 1024;
/** What `getRandomValues` gives at a time. */
const RANDOM_BYTES = 65_536;

/**
 * Make a piece.
 *
 * @param bytes How long the file will be.
 * @returns Another one each time.
 */
export function makePiece(bytes: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < piece.length; at += RANDOM_BYTES) crypto.getRandomValues(piece.subarray(at, at + RANDOM_BYTES));
  piece.set(headOfFile(bytes));
  return piece;
}

/**
 * A piece again and again.
 *
 * @param piece The piece.
 * @param bytes How many bytes there are to be.
 */
export function* repeated(piece: Uint8Array<ArrayBuffer>, bytes: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, left);
}
