/**
 * A server that speaks as much of HTTP and of OpenAI's chat completions as a test lets it: every byte of an answer, its
 * end and its breaking off are the test's.
 */
import { Mailbox } from "./mailbox.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One request as the server sees it. */
export class Asked {
  readonly line: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
  /** Resolves when the client has closed the connection. */
  readonly closed: Promise<void>;
  readonly #conn: Deno.Conn;

  constructor(conn: Deno.Conn, head: string, rest: { readonly body: string; readonly closed: Promise<void> }) {
    const [line = "", ...fields] = head.split("\r\n");
    this.line = line;
    this.headers = new Headers(fields.map((field): [string, string] => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon), field.slice(colon + 1).trim()];
    }));
    this.body = rest.body === "" ? {} : JSON.parse(rest.body);
    this.closed = rest.closed;
    this.#conn = conn;
  }

  /** Write the head of a response whose body comes in chunks. */
  head(status = 200, headers: Record<string, string> = { "content-type": "text/event-stream" }): Promise<void> {
    const fields = Object.entries({ ...headers, "transfer-encoding": "chunked" });
    return this.#write(
      `HTTP/1.1 ${status} Scripted\r\n${fields.map((field) => `${field.join(": ")}\r\n`).join("")}\r\n`,
    );
  }

  /** Write some of the body. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (bytes.length === 0) return;
    await this.#write(`${bytes.length.toString(16)}\r\n`);
    await this.#write(bytes);
    await this.#write("\r\n");
  }

  /** Write events. */
  async say(...values: readonly unknown[]): Promise<void> {
    for (const value of values) {
      await this.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
    }
  }

  /** End the body. */
  end(): Promise<void> {
    return this.#write("0\r\n\r\n");
  }

  /** A whole stream of events. */
  async stream(...values: readonly unknown[]): Promise<void> {
    await this.head();
    await this.say(...values);
    await this.end();
  }

  /** A whole response of JSON. */
  async json(status: number, value: unknown): Promise<void> {
    await this.head(status, { "content-type": "application/json" });
    await this.write(typeof value === "string" ? value : JSON.stringify(value));
    await this.end();
  }

  /** Write bytes as they are, in place of a response. */
  raw(data: string): Promise<void> {
    return this.#write(data);
  }

  /** Break off. */
  cut(): void {
    this.#conn.close();
  }

  async #write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }
}

/** What answers a request; absent: the test takes it with `next`. */
export type Answering = (asked: Asked) => Promise<void> | void;

/** Listens on a port of this machine. */
export class OpenAiServer implements AsyncDisposable {
  /** How many connections there have been. */
  connections = 0;
  /** Every request so far. */
  readonly asked: Asked[] = [];
  answering: Answering | undefined;
  readonly #listener: Deno.TcpListener;
  readonly #waiting = new Mailbox<Asked>();
  readonly #conns = new Set<Deno.Conn>();
  readonly #serving: Promise<void>[] = [];

  constructor(answering?: Answering) {
    this.answering = answering;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#serving.push(this.#accept());
  }

  /** What a configuration calls `baseUrl`. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}/v1`;
  }

  /** The next request that nothing answers by itself. */
  next(): Promise<Asked> {
    return this.#waiting.take();
  }

  /** Not there any more. */
  close(): void {
    closeQuietly(this.#listener);
    for (const conn of this.#conns) closeQuietly(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.all(this.#serving);
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.connections++;
      // What is written goes out as it is written.
      conn.setNoDelay();
      this.#conns.add(conn);
      this.#serving.push(this.#serve(conn));
    }
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    const closed = Promise.withResolvers<void>();
    const chunk = new Uint8Array(64 * 1024);
    // One character for each byte, so that lengths are what the headers say.
    let text = "";
    try {
      for (let count = await conn.read(chunk); count !== null; count = await conn.read(chunk)) {
        for (const byte of chunk.subarray(0, count)) text += String.fromCharCode(byte);
        const end = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
        if (end === -1 || text.length < end + 4 + length) continue;
        const body = Uint8Array.from(text.slice(end + 4, end + 4 + length), (byte) => byte.charCodeAt(0));
        const asked = new Asked(conn, text.slice(0, end), { body: decoder.decode(body), closed: closed.promise });
        text = "";
        this.asked.push(asked);
        if (this.answering === undefined) this.#waiting.put(asked);
        else await this.answering(asked);
      }
    } catch (error) {
      // The client went while it was answered, or the test broke off.
      if (!isGone(error)) throw error;
    } finally {
      closed.resolve();
      this.#conns.delete(conn);
      closeQuietly(conn);
    }
  }
}

/** A chunk of a chat completion. */
export function chunk(delta: Record<string, unknown>, finish: string | null = null): Record<string, unknown> {
  return { object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }] };
}

/** The chunks of an answer that is nothing but text. */
export function words(...texts: readonly string[]): unknown[] {
  return [...texts.map((content) => chunk({ content })), chunk({}, "stop"), "[DONE]"];
}

function isGone(error: unknown): boolean {
  return [Deno.errors.ConnectionReset, Deno.errors.BrokenPipe, Deno.errors.BadResource, Deno.errors.Interrupted]
    .some((gone) => error instanceof gone);
}

function closeQuietly(closer: { close(): void }): void {
  try {
    closer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
