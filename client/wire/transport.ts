/**
 * A byte stream to a daemon: the only file of the client that uses sockets. `node:net` works in Deno and Node; in Deno
 * it costs 5 ms at the start of a command and nothing per token compared to Deno's own sockets.
 */
import { connect, type Socket } from "node:net";
import { type Endpoint, endpointName, type UnixEndpoint, whyNoDaemon } from "../endpoints.ts";
import { errorCode, errorText } from "../errors/error_facts.ts";
import { ConnectError } from "../errors/errors.ts";

/** Errors of a daemon that is still starting, or restarting. */
const TRANSIENT: ReadonlySet<string> = new Set(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EAGAIN"]);

/** A connected stream of bytes. */
export class Transport {
  /** Called when the other side ends the stream. */
  onEnd: (() => void) | undefined;
  readonly #socket: Socket;
  #error: Error | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const wake = (): void => this.#wake?.();
    const end = (): void => {
      this.#ended = true;
      wake();
      this.onEnd?.();
    };
    // "readable" without "data": data beyond the stream's high-water mark (at most 64 KiB) stays in the kernel.
    socket.on("readable", wake).on("end", end).on("close", end).on("error", (error) => {
      this.#error = error;
      wake();
    });
  }

  /**
   * Connect, once.
   *
   * @throws {ConnectError} If no connection can be made; says whether to try again.
   * @throws The signal's reason, if it was aborted.
   */
  static async open(endpoint: Endpoint, signal: AbortSignal): Promise<Transport> {
    signal.throwIfAborted();
    let socket: Socket | undefined;
    const giveUp = (): void => void socket?.destroy(new Error("Aborted"));
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await checkFolder(endpoint);
      signal.throwIfAborted();
      socket = "path" in endpoint
        ? connect({ path: endpoint.path })
        : connect({ host: endpoint.hostname, port: endpoint.port, noDelay: true });
      const transport = new Transport(socket);
      await new Promise<void>((resolve, reject) => socket?.once("connect", resolve).once("error", reject));
      // It may have been created between the first check and the connection.
      await checkFolder(endpoint);
      signal.throwIfAborted();
      return transport;
    } catch (error) {
      socket?.destroy();
      signal.throwIfAborted();
      if (error instanceof ConnectError) throw error;
      throw await connectError(endpoint, error);
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Read received bytes, at least one; `null` at the end. One call at a time. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) return chunk;
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Write all of it; resolves when it is handed to the system. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  /** @param on Whether the process has to stay alive for this stream. */
  keepAlive(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Close both directions at once; what is pending fails. */
  close(): void {
    this.#socket.destroy();
  }
}

/**
 * A socket in a folder that anybody may make is trusted if the folder is this user's own: whoever made it could otherwise
 * read prompts and forge answers.
 *
 * @throws {ConnectError} If it is not.
 */
async function checkFolder(endpoint: Endpoint): Promise<void> {
  if (!("path" in endpoint) || endpoint.folder === undefined) return;
  const why = await whyUntrusted(endpoint.folder);
  if (why === undefined) return;
  const name = endpointName(endpoint);
  throw new ConnectError(
    `Cannot connect to "${name}": the folder "${endpoint.folder.path}" ${why}. Set XDG_RUNTIME_DIR or HOME`,
    { endpoint: name, code: "EACCES" },
  );
}

async function whyUntrusted({ path, uid }: NonNullable<UnixEndpoint["folder"]>): Promise<string | undefined> {
  const { lstat } = await import("node:fs/promises");
  try {
    const found = await lstat(path);
    if (!found.isDirectory()) return "is not a folder";
    if (found.uid !== uid) return `belongs to user ${found.uid}`;
    return (found.mode & 0o022) === 0 ? undefined : "may be written by others";
  } catch (error) {
    // Then there is nothing to connect to.
    if (errorCode(error) === "ENOENT") return undefined;
    return `cannot be checked: ${errorText(error)}`;
  }
}

async function connectError(endpoint: Endpoint, cause: unknown): Promise<ConnectError> {
  const name = endpointName(endpoint);
  let code = errorCode(cause);
  // Linux says "refused" for anything that is not a socket, which waiting does not fix.
  if (code === "ECONNREFUSED" && "path" in endpoint && !await isSocket(endpoint.path)) code = "ENOTSOCK";
  const never = code === "ENOENT" && "path" in endpoint ? whyNoDaemon(endpoint.path) : undefined;
  const why = never ?? reason(code) ?? errorText(cause);
  return new ConnectError(`Cannot connect to "${name}": ${why}`, {
    endpoint: name,
    code,
    retryable: never === undefined && code !== undefined && TRANSIENT.has(code),
    cause,
  });
}

function reason(code: string | undefined): string | undefined {
  switch (code) {
    case "ENOENT":
      return "there is no such socket, so no daemon is ready there";
    case "ECONNREFUSED":
      return "nothing listens there";
    case "ENOTSOCK":
      return "it is not a socket";
    case "EACCES":
      return "permission denied";
    default:
      return undefined;
  }
}

async function isSocket(path: string): Promise<boolean> {
  try {
    const { stat } = await import("node:fs/promises");
    return (await stat(path)).isSocket();
  } catch {
    // Gone by now, or not to be looked at: it was there a moment ago, so it may come back.
    return true;
  }
}
