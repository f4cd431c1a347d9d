/** HTTP by hand, for what `fetch` does not let through: any header, and as little of a request as a test wants. */

/** A request by hand. */
export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface RawAnswer {
  readonly status: number;
  /** The status line and the headers as they were written. */
  readonly head: string;
  readonly body: string;
}

/**
 * Send the head of a request and read all that comes.
 *
 * @param url Where the server is.
 * @param request The head; `Host` is the server's where nothing else is said.
 */
export async function exchange(url: string, { method = "GET", path, headers = {} }: RawRequest): Promise<RawAnswer> {
  const { host } = new URL(url);
  const all = { Host: host, Connection: "close", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = await converse(url, `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const [head = "", body = ""] = text.split(/\r\n\r\n(.*)/s);
  return { status: Number(head.split(" ")[1]), head, body: unchunked(head, body) };
}

/**
 * Send something and read until the server closes the connection.
 *
 * @param url Where the server is.
 * @param text What is sent.
 */
export async function converse(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port) });
  const decoder = new TextDecoder();
  let answer = "";
  try {
    if (text !== "") await connection.write(new TextEncoder().encode(text));
    const buffer = new Uint8Array(16 * 1024);
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      answer += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
  } catch (error) {
    // It was cut off: also an end.
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  return answer;
}

function unchunked(head: string, body: string): string {
  if (!/transfer-encoding: chunked/i.test(head)) return body;
  return [...body.matchAll(/([0-9a-f]+)\r\n(.*?)\r\n(?=[0-9a-f]+\r\n|$)/gs)].map(([, , text]) => text).join("");
}
