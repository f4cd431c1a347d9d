/**
 * The authentication line of TCP connections. Owns how it is read and compared; when it is due and what follows belongs
 * to the connection.
 */
import type { AuthFrame } from "@inferd/client/protocol";
import { isObject } from "../inference/objects.ts";

/** The longest authentication line, in bytes, where the key is not so long that it needs more. */
const USUAL_AUTH_BYTES = 4 * 1024;
/** The most bytes that one byte of the key can take in JSON, which may write any character as `\u` and four digits. */
const ESCAPED_BYTES = 6;
/** The authentication line without the key. */
const AROUND_KEY_BYTES = 1024;

const encoder = new TextEncoder();

/** Whether a parsed line is an authentication frame. */
export function isAuthFrame(value: unknown): value is AuthFrame {
  return isObject(value) && value.type === "auth" && typeof value.key === "string";
}

export class Authenticator {
  readonly #expected: Promise<Uint8Array>;
  /** The longest authentication line, in bytes: no unauthenticated client gets more memory than the right key needs. */
  readonly maxLineBytes: number;

  constructor(apiKey: string) {
    this.#expected = digest(apiKey);
    const bytes = encoder.encode(apiKey).length;
    this.maxLineBytes = Math.max(USUAL_AUTH_BYTES, bytes * ESCAPED_BYTES + AROUND_KEY_BYTES);
  }

  /**
   * Whether a line is an authentication frame with the right key. Takes constant time for wrong keys of equal length.
   */
  async accepts(line: string): Promise<boolean> {
    const value = parse(line);
    if (!isAuthFrame(value)) return false;
    const [given, expected] = await Promise.all([digest(value.key), this.#expected]);
    // Loaded only when there is a key: most daemons have none.
    const { timingSafeEqual } = await import("node:crypto");
    // Digests have a fixed length, so the time does not reveal the key's length either.
    return timingSafeEqual(given, expected);
  }
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
