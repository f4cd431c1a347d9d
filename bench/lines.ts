/** Lines on raw connections. */

const READ_BYTES = 64 * 1024;

/** Reads a stream line by line. */
export class Lines {
  readonly #connection: Deno.Conn;
  readonly #bytes = new Uint8Array(READ_BYTES);
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Pass lines to `take` until it returns true. */
  async until(take: (line: string) => boolean): Promise<void> {
    for (;;) {
      let start = 0;
      for (let end = this.#rest.indexOf("\n"); end >= 0; end = this.#rest.indexOf("\n", start)) {
        const line = this.#rest.slice(start, end);
        start = end + 1;
        if (take(line)) {
          this.#rest = this.#rest.slice(start);
          return;
        }
      }
      this.#rest = this.#rest.slice(start);
      const count = await this.#connection.read(this.#bytes);
      if (count === null) throw new Error("The server closed the connection");
      this.#rest += this.#decoder.decode(this.#bytes.subarray(0, count), { stream: true });
    }
  }
}

/** Write all of it. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
