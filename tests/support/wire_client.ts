/** A client that knows nothing of the protocol: bytes out, lines in, byte for byte. */
import { inTime } from "./waiting.ts";

const encoder = new TextEncoder();

/** One raw connection. */
export class WireClient implements Disposable {
  readonly conn: Deno.UnixConn | Deno.TcpConn;
  readonly #decoder = new TextDecoder();
  readonly #chunk = new Uint8Array(64 * 1024);
  /** What has arrived of lines not asked for yet. */
  readonly #lines: string[] = [];
  /** The beginning of a line, in pieces. */
  #pieces: string[] = [];
  #closed = false;

  private constructor(conn: Deno.UnixConn | Deno.TcpConn) {
    this.conn = conn;
  }

  /** Connect to a unix socket, or to a TCP port of this machine. */
  static async connect(to: string | number): Promise<WireClient> {
    return new WireClient(
      typeof to === "string"
        ? await Deno.connect({ transport: "unix", path: to })
        : await Deno.connect({ hostname: "127.0.0.1", port: to }),
    );
  }

  /** Write bytes as they are. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
  }

  /** Write a value as one line. */
  send(value: unknown): Promise<void> {
    return this.write(`${JSON.stringify(value)}\n`);
  }

  /** The next line without its newline; undefined at the end. */
  async line(): Promise<string | undefined> {
    while (this.#lines.length === 0) {
      if (await this.#read()) continue;
      if (this.#pieces.length === 0) return undefined;
      throw new Error(`The last line has no newline: ${JSON.stringify(this.#pieces.join("").slice(0, 200))}`);
    }
    return this.#lines.shift();
  }

  /** The next line as a value. */
  async frame(): Promise<Record<string, unknown>> {
    const line = await this.line();
    if (line === undefined) throw new Error("The connection ended where a frame was expected");
    return JSON.parse(line);
  }

  /** Lines up to the end. */
  async rest(): Promise<string[]> {
    const lines: string[] = [];
    for (let line = await this.line(); line !== undefined; line = await this.line()) lines.push(line);
    return lines;
  }

  /** Lines up to and with the next terminal frame. */
  async answer(): Promise<string[]> {
    const lines: string[] = [];
    while (true) {
      const line = await this.line();
      if (line === undefined) throw new Error(`The connection ended before a terminal frame: ${lines.join(" ")}`);
      lines.push(line);
      if (!["token", "frame"].includes(JSON.parse(line).type)) return lines;
    }
  }

  /** Say that no more requests come. */
  end(): Promise<void> {
    return this.conn.closeWrite();
  }

  /** Close both ways. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Whether there was anything to read; a reset is an end, too. A server that is silent for a minute is an error. */
  async #read(): Promise<boolean> {
    let count: number | null;
    try {
      count = await inTime("the next bytes of the server", this.conn.read(this.#chunk));
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      count = null;
    }
    if (count === null) return false;
    const [first = "", ...more] = this.#decoder.decode(this.#chunk.subarray(0, count), { stream: true }).split("\n");
    if (first !== "") this.#pieces.push(first);
    for (const piece of more) {
      this.#lines.push(this.#pieces.join(""));
      this.#pieces = piece === "" ? [] : [piece];
    }
    return true;
  }
}
