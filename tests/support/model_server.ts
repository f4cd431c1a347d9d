/**
 * An HTTP server that has model files and does to each request what its script says. It writes the bytes of HTTP
 * itself, so that it can lie and cut.
 */

/** What it does to one request; what is absent is done right. */
export interface Answer {
  /** Instead of the file: this status, without a body unless there is one. */
  readonly status?: number;
  /** Instead of, or besides, the right ones; `null` leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string;
  /** Send the whole file although a part was asked for. */
  readonly ignoreRange?: boolean;
  /** From now on the server has another file. */
  readonly content?: Uint8Array<ArrayBuffer>;
  readonly etag?: string | null;
  /** Close the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Send nothing any more after so many bytes of the body. */
  readonly stallAfter?: number;
  /** Send nothing after so many bytes of the body, until this resolves. */
  readonly pause?: { readonly after: number; readonly until: Promise<void> };
  /** Close before anything is said. */
  readonly hangUp?: boolean;
  /** Without a length: chunked. */
  readonly chunked?: boolean;
  /** Without a length and not chunked: the end of the connection is the end of the file. */
  readonly untilClose?: boolean;
}

/** A request that came. */
export interface SeenRequest {
  readonly path: string;
  readonly headers: Headers;
}

/** Files by the last part of their path. */
export type ServerFiles = Readonly<Record<string, Uint8Array<ArrayBuffer>>>;

/** The server. Its files' ETag is `"v1"`. */
export class ModelServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly url: string;
  #content: Uint8Array<ArrayBuffer> | ServerFiles;
  #etag: string | null = '"v1"';
  readonly #script: Answer[];
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Deno.Conn>();
  readonly #work: Promise<unknown>[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  /**
   * @param content Its file, whatever it is asked for; or its files.
   * @param script What to do to the first request, the second, …; all further ones are answered right.
   */
  constructor(content: Uint8Array<ArrayBuffer> | ServerFiles, script: readonly Answer[] = []) {
    this.#content = content;
    this.#script = [...script];
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/files/model.gguf`;
    this.#work.push(this.#accept());
  }

  /** The ranges that were asked for, `null` for the whole. */
  get ranges(): (string | null)[] {
    return this.requests.map(({ headers }) => headers.get("range"));
  }

  /** Number of open connections. */
  get open(): number {
    return this.#connections.size;
  }

  /** Where a file is. */
  urlOf(path: string): string {
    return new URL(path, this.url).href;
  }

  /** Do this to the next requests. */
  next(...answers: readonly Answer[]): void {
    this.#script.push(...answers);
  }

  /** Resolves when so many requests have come. */
  async seen(count: number): Promise<void> {
    if (this.requests.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        this.#work.push(this.#serve(connection));
      }
    } catch {
      // Closed.
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    try {
      const request = await readRequest(connection);
      if (request === undefined) return;
      this.requests.push(request);
      const answer = this.#script.shift() ?? {};
      for (const { count, resolve } of this.#waiting) if (this.requests.length >= count) resolve();
      await this.#answer(connection, request, answer);
      if (answer.stallAfter === undefined) return;
      // Until the other side gives up.
      await connection.read(new Uint8Array(1));
    } catch {
      // The other side gave up.
    } finally {
      this.#connections.delete(connection);
      close(connection);
    }
  }

  async #answer(connection: Deno.Conn, request: SeenRequest, answer: Answer): Promise<void> {
    if (answer.hangUp) return;
    if (answer.content !== undefined) this.#content = answer.content;
    if (answer.etag !== undefined) this.#etag = answer.etag;
    const content = this.#content;
    const found = content instanceof Uint8Array
      ? content
      : content[request.path.replace(/[?].*/, "").split("/").at(-1) ?? ""];
    const all = found ?? new Uint8Array();
    const headers = new Headers({ connection: "close" });
    if (this.#etag !== null) headers.set("etag", this.#etag);
    let status = 200;
    let body = all;
    const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
    const same = request.headers.get("if-range") === this.#etag;
    if (answer.status !== undefined || found === undefined) {
      status = answer.status ?? 404;
      body = new TextEncoder().encode(answer.body ?? "");
    } else if (range !== undefined && same && !answer.ignoreRange) {
      const from = Number(range);
      status = from < all.length ? 206 : 416;
      body = all.subarray(from);
      headers.set(
        "content-range",
        from < all.length ? `bytes ${from}-${all.length - 1}/${all.length}` : `bytes */${all.length}`,
      );
    }
    if (answer.chunked) headers.set("transfer-encoding", "chunked");
    else if (!answer.untilClose) headers.set("content-length", String(body.length));
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      if (value === null) headers.delete(name);
      else headers.set(name, value);
    }
    const head = [`HTTP/1.1 ${status} Whatever`, ...[...headers].map(([name, value]) => `${name}: ${value}`), "", ""];
    await send(connection, new TextEncoder().encode(head.join("\r\n")));
    const part = body.subarray(0, answer.cutAfter ?? answer.stallAfter ?? body.length);
    if (answer.chunked) {
      await send(connection, new TextEncoder().encode(`${part.length.toString(16)}\r\n`));
      await send(connection, part);
      if (answer.stallAfter === undefined) await send(connection, new TextEncoder().encode("\r\n0\r\n\r\n"));
    } else if (answer.pause !== undefined) {
      await send(connection, part.subarray(0, answer.pause.after));
      await answer.pause.until;
      await send(connection, part.subarray(answer.pause.after));
    } else {
      await send(connection, part);
    }
  }
}

async function readRequest(connection: Deno.Conn): Promise<SeenRequest | undefined> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const read = await connection.read(buffer);
    if (read === null) return undefined;
    text += new TextDecoder().decode(buffer.subarray(0, read));
  }
  const [first = "", ...lines] = text.split("\r\n\r\n")[0]?.split("\r\n") ?? [];
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  return { path: first.split(" ")[1] ?? "", headers };
}

async function send(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
