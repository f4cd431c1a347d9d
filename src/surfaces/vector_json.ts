/**
 * Unit vectors as JSON. Written by hand: twice as fast as `JSON.stringify`, which also writes more digits than a 32-bit
 * float has, so the frame is about half as long.
 */

/** Digits after the decimal point: a vector of 4096 numbers still has unit length to within 1e-7. */
const DIGITS = 9;
const SCALE = 10 ** DIGITS;

/** `0.123456789,` */
export const MIN_BYTES_PER_NUMBER = DIGITS + 3;
/** `-0.123456789,` */
const MAX_BYTES_PER_NUMBER = MIN_BYTES_PER_NUMBER + 1;

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

const decoder = new TextDecoder();

/** Writes vectors of one length, one at a time. */
export class VectorWriter {
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(dimensions: number) {
    this.#bytes = new Uint8Array(dimensions * MAX_BYTES_PER_NUMBER + 2);
  }

  /**
   * Write a vector.
   *
   * @returns A JSON array, in ASCII.
   * @throws {Error} If it is not a unit vector or its dimension differs from the others.
   */
  write(vector: Float32Array): string {
    const bytes = this.#bytes;
    if (vector.length * MAX_BYTES_PER_NUMBER + 2 !== bytes.length) throw new Error("A vector has another length");
    let at = 0;
    bytes[at++] = OPEN;
    for (const value of vector) {
      let rest = scaled(value);
      if (value < 0) bytes[at++] = MINUS;
      bytes[at++] = rest < SCALE ? ZERO : ZERO + 1;
      bytes[at++] = POINT;
      for (let digit = at + DIGITS - 1; digit >= at; digit--) {
        // Below 2^31, so that no floating point is needed.
        const tenth = (rest / 10) | 0;
        bytes[digit] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
      at += DIGITS;
      bytes[at++] = COMMA;
    }
    bytes[at - 1] = CLOSE;
    return decoder.decode(bytes.subarray(0, at));
  }
}

/**
 * The numbers that `VectorWriter` writes, rounded.
 *
 * @throws {Error} If it is not a unit vector.
 */
export function roundVector(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Math.sign(value) * scaled(value) / SCALE);
}

/** The digits written for a number, without sign and decimal point. */
function scaled(value: number): number {
  const digits = Math.round(Math.abs(value) * SCALE);
  // Also false for NaN.
  if (!(digits < 2 * SCALE)) throw new Error(`A vector of unit length holds ${value}`);
  return digits;
}
