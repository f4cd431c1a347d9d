/** A request as the line that is sent: at once, or, if it is long, in pieces that are made while it is sent. */
import { gradualJson, isLarge, isText, MAX_FRAME_BYTES } from "../protocol/mod.ts";
import { FrameTooLargeError } from "../errors/daemon_errors.ts";
import { encodeFrame } from "./connection.ts";

/** Levels of a value that is written in pieces. */
const MOST_LEVELS = 256;

/** One request, ready to be sent, also more than once. */
export class RequestLine {
  readonly #bytes: Uint8Array | undefined;
  readonly #value: unknown;

  /** @throws {TypeError} If it cannot be encoded in JSON. */
  constructor(frame: unknown) {
    this.#value = isLarge(frame) ? plainCopy(frame, MOST_LEVELS) : undefined;
    if (this.#value === undefined) this.#bytes = encodeFrame(frame);
  }

  /** @throws {FrameTooLargeError} If it is longer than allowed, as far as that shows before it is written. */
  checkLength(): void {
    checkLength(this.#bytes === undefined ? leastBytes(this.#value) : this.#bytes.length - 1);
  }

  /** All of it; absent: it is sent in {@linkcode pieces}. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  /**
   * All of it, in pieces.
   *
   * @throws {FrameTooLargeError} Before the piece that makes it longer than allowed.
   */
  *pieces(): Generator<Uint8Array, void> {
    let bytes = -1;
    for (const piece of gradualJson(this.#value, "\n")) {
      bytes += piece.length;
      checkLength(bytes);
      yield piece;
    }
  }
}

/**
 * A copy whose containers are its own, so that it stays what it is while it is sent; `undefined` for a value with
 * anything but plain objects, arrays, texts, numbers and the like, which is written at once.
 */
function plainCopy(value: unknown, levels: number): unknown {
  // A text in parts does not change, either.
  if (isText(value)) return value;
  switch (typeof value) {
    case "number":
    case "boolean":
      return value;
    case "object":
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  if (levels === 0 || "toJSON" in value) return undefined;
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    for (const element of value) {
      const part = plainCopy(element, levels - 1);
      if (part === undefined) return undefined;
      copy.push(part);
    }
    return copy;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    const part = plainCopy(field, levels - 1);
    if (part === undefined || key === "__proto__") return undefined;
    copy[key] = part;
  }
  return copy;
}

/** Bytes of a plain value if none of its characters takes more than one. */
function leastBytes(value: unknown): number {
  if (isText(value)) return value.length + 2;
  if (typeof value !== "object" || value === null) return 1;
  // Brackets, and a comma after all but one.
  let bytes = 1;
  if (Array.isArray(value)) { for (const element of value) bytes += leastBytes(element) + 1; }
  else for (const [key, field] of Object.entries(value)) bytes += key.length + 4 + leastBytes(field);
  return Math.max(bytes, 2);
}

function checkLength(bytes: number): void {
  if (bytes > MAX_FRAME_BYTES) throw tooLong();
}

function tooLong(): FrameTooLargeError {
  return new FrameTooLargeError(`A request may have at most ${MAX_FRAME_BYTES} bytes, this one has more`);
}
