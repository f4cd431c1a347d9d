/**
 * Reads a file sequentially through one small buffer, whatever its counts and lengths claim; skipped data is not read.
 * Decodes GGUF's numbers and strings, not their meaning.
 */

/** Buffer size in bytes, and maximum length of a single read. */
const BUFFER_BYTES = 256 * 1024;
const U32 = 2 ** 32;

export interface ByteSource {
  readonly size: number;
  /**
   * Read from a position.
   *
   * @param position Offset in bytes.
   * @param buffer Filled from its start.
   * @returns The number of bytes read; 0 at the end.
   */
  read(position: number, buffer: Uint8Array): Promise<number>;
}

export class EndOfSource extends Error {
  override readonly name = "EndOfSource";
}

/** Wraps an open file. Moves its position. */
export function fileSource(file: Deno.FsFile, size: number): ByteSource {
  return {
    size,
    async read(position, buffer): Promise<number> {
      await file.seek(position, Deno.SeekMode.Start);
      return await file.read(buffer) ?? 0;
    },
  };
}

/** Forward-only reader. */
export class Cursor {
  readonly #source: ByteSource;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #decoder = new TextDecoder();
  /** Offset of the buffer's first byte. */
  #start = 0;
  /** Read position and end of valid data, within the buffer. */
  #at = 0;
  #end = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  get position(): number {
    return this.#start + this.#at;
  }

  async u32(): Promise<number> {
    await this.#need(4);
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Unsigned 64-bit integer, exact up to 2⁵³. */
  async u64(): Promise<number> {
    await this.#need(8);
    return this.#u64(this.#take(8));
  }

  /** Bytes, valid until the next read. */
  async bytes(length: number): Promise<Uint8Array> {
    await this.#need(length);
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  /** UTF-8 text of this many bytes. */
  async text(length: number): Promise<string> {
    return this.#decoder.decode(await this.bytes(length));
  }

  /** @throws {EndOfSource} If there are fewer bytes. */
  skip(length: number): void {
    const target = this.position + length;
    if (!(target <= this.#source.size)) throw new EndOfSource();
    if (target <= this.#start + this.#end) {
      this.#at += length;
      return;
    }
    this.#start = target;
    this.#at = this.#end = 0;
  }

  /**
   * Skip length-prefixed strings.
   *
   * @param most Limits: no string may be longer, and the cursor may not pass `until`.
   * @returns Whether all were within the limits.
   */
  async skipStrings(
    count: number,
    { most, until }: { readonly most: number; readonly until: number },
  ): Promise<boolean> {
    for (let left = count; left > 0;) {
      await this.#need(8);
      // Fast path: strings within the buffer, without awaiting each.
      while (left > 0 && this.#end - this.#at >= 8) {
        const length = this.#u64(this.#at);
        if (length > most) return false;
        this.skip(8 + length);
        left--;
      }
      if (this.position > until) return false;
    }
    return true;
  }

  #u64(at: number): number {
    return this.#view.getUint32(at + 4, true) * U32 + this.#view.getUint32(at, true);
  }

  #take(length: number): number {
    this.#at += length;
    return this.#at - length;
  }

  async #need(length: number): Promise<void> {
    if (this.#end - this.#at >= length) return;
    if (length > BUFFER_BYTES) throw new RangeError(`${length} bytes are more than the buffer holds`);
    this.#buffer.copyWithin(0, this.#at, this.#end);
    this.#start += this.#at;
    this.#end -= this.#at;
    this.#at = 0;
    while (this.#end < length) {
      const read = await this.#source.read(this.#start + this.#end, this.#buffer.subarray(this.#end));
      if (read === 0) throw new EndOfSource();
      this.#end += read;
    }
  }
}
