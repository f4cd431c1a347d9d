/**
 * Streaming reader for tar archives as packed by npm. Of the format (POSIX.1-1988, `ustar`) it supports only what those
 * use: regular files, and names split into prefix and name.
 */

const BLOCK_BYTES = 512;
const REGULAR_FILE = ["0", "\0"];
/** Extended headers; short names do not need them. */
const EXTENDED = ["x", "g"];
const DIRECTORY = "5";

/** The archive is invalid, or has an entry that does not belong in a package. */
export class TarError extends Error {
  override readonly name = "TarError";
}

/** A file of an archive. */
export interface TarFile {
  /** Path within the archive, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Content; must be read before the next file is requested. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * Read an archive.
 *
 * @param stream Its bytes.
 * @returns Its files.
 * @throws {TarError} If it is damaged or truncated, or a path leaves the archive.
 */
export async function* readTar(stream: ReadableStream<Uint8Array>): AsyncGenerator<TarFile> {
  const blocks = new ByteReader(stream);
  try {
    for (;;) {
      const header = await blocks.exactly(BLOCK_BYTES);
      // An empty block ends the archive.
      if (header.every((byte) => byte === 0)) return;
      const { path, bytes, type } = readHeader(header);
      const content = blocks.pieces(bytes);
      if (REGULAR_FILE.includes(type)) yield { path: checkedPath(path), bytes, content };
      else if (type !== DIRECTORY && !EXTENDED.includes(type)) {
        throw new TarError(`"${path}" is neither file nor folder`);
      }
      // Skip what was not read.
      for await (const _ of content);
      await blocks.exactly((BLOCK_BYTES - bytes % BLOCK_BYTES) % BLOCK_BYTES);
    }
  } finally {
    await blocks.close();
  }
}

function readHeader(header: Uint8Array): { readonly path: string; readonly bytes: number; readonly type: string } {
  const text = (from: number, length: number): string => {
    const field = header.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
  };
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trim();
    if (!/^[0-7]+$/.test(digits)) throw new TarError("a header is damaged");
    return parseInt(digits, 8);
  };
  // Sum of all bytes, with the checksum field as spaces.
  const sum = header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (number(148, 8) !== sum) throw new TarError("a header is damaged");
  const [prefix, name] = [text(345, 155), text(0, 100)];
  return {
    path: prefix === "" ? name : `${prefix}/${name}`,
    bytes: number(124, 12),
    type: String.fromCharCode(header[156] as number),
  };
}

function checkedPath(path: string): string {
  const parts = path.split("/");
  const isInside = !path.includes("\\") && parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!isInside) throw new TarError(`"${path}" leads out of the archive`);
  return path;
}

/** Reads exact numbers of bytes from a stream. */
class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  async exactly(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let at = 0;
    for await (const piece of this.pieces(count)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** Yields this many bytes as they arrive. A further iteration continues where the last one stopped. */
  pieces(count: number): AsyncIterable<Uint8Array> & AsyncIterator<Uint8Array, undefined> {
    let left = count;
    const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
      if (left === 0) return { done: true, value: undefined };
      if (this.#rest.length === 0) {
        const { done, value } = await this.#reader.read();
        if (done) throw new TarError("it is truncated");
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      return { done: false, value: piece };
    };
    const pieces = { next, [Symbol.asyncIterator]: () => pieces };
    return pieces;
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
