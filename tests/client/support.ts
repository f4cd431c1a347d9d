/**
 * A daemon as far as a client can see one: real sockets, and a script per connection that says which bytes go out when.
 */
import { type Client, connect, type ConnectOptions } from "@inferd/client";
import type {
  V1DoneFrame,
  V1ErrorFrame,
  V1Request,
  V1TokenFrame,
  V2DoneFrame,
  V2Frame,
  V2Request,
} from "@inferd/client/protocol";
import { watchdog } from "../support/waiting.ts";

/** One accepted connection. */
export class Peer {
  readonly #conn: Deno.Conn;
  readonly #decoder = new TextDecoder();
  #text = "";
  #closed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** The next line, or `null` once the client is gone. */
  async line(): Promise<string | null> {
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const newline = this.#text.indexOf("\n");
      if (newline !== -1) {
        const line = this.#text.slice(0, newline);
        this.#text = this.#text.slice(newline + 1);
        return line;
      }
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) return null;
      this.#text += this.#decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  /** The next request; fails the test if the client is gone instead. */
  async request(): Promise<V1Request & { id: string }> {
    const line = await this.line();
    if (line === null) throw new Error("The client closed the connection instead of asking");
    return JSON.parse(line);
  }

  /** Write text or bytes; `false` once the client is gone. */
  async write(data: string | Uint8Array): Promise<boolean> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    try {
      for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
      return true;
    } catch {
      return false;
    }
  }

  /** Write frames, all in one go; `false` once the client is gone. */
  send(...frames: readonly unknown[]): Promise<boolean> {
    return this.write(frames.map((frame) => JSON.stringify(frame) + "\n").join(""));
  }

  /** Resolves when the client has closed the connection. */
  async gone(): Promise<void> {
    while (await this.line() !== null);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}

/** What a connection does; when it returns, the connection is closed. */
export type Script = (peer: Peer, index: number) => Promise<void>;

/** A test that takes longer hangs: its server hangs up on everybody, and the test fails. */
const HANG_MS = 30_000;

/** Where a scripted server listens. */
export type Listen = { readonly path: string } | { readonly port: number };

/** A server whose connections follow a script. */
export class ScriptedServer implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  readonly #serving: Promise<void>;
  readonly #peers = new Set<Peer>();
  readonly #watchdog: Disposable;
  #left = Promise.withResolvers<void>();
  #failure: { error: unknown } | undefined;
  /** How many connections were accepted. */
  accepted = 0;

  constructor(script: Script, listen: Listen) {
    this.#listener = "path" in listen
      ? Deno.listen({ transport: "unix", path: listen.path })
      : Deno.listen({ hostname: "127.0.0.1", port: listen.port });
    this.#serving = this.#serve(script);
    this.#watchdog = watchdog(() => {
      this.#failure ??= { error: new Error(`The test hung for ${HANG_MS} ms`) };
      this.hangUp();
    }, HANG_MS);
  }

  /** The port of a TCP server. */
  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Resolves when no connection is left. */
  async idle(): Promise<void> {
    while (this.#peers.size > 0) await this.#left.promise;
  }

  /** Cut every connection. */
  hangUp(): void {
    for (const peer of this.#peers) peer.close();
  }

  async #serve(script: Script): Promise<void> {
    const running: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) {
        const peer = new Peer(conn);
        this.#peers.add(peer);
        running.push(
          script(peer, this.accepted++).catch((error: unknown) => {
            this.#failure ??= { error };
          }).finally(() => {
            this.#peers.delete(peer);
            this.#left.resolve();
            this.#left = Promise.withResolvers();
            peer.close();
          }),
        );
      }
    } finally {
      await Promise.all(running);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watchdog[Symbol.dispose]();
    this.#listener.close();
    this.hangUp();
    await this.#serving;
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** A folder of its own for sockets, removed with everything in it. */
export class Scratch implements AsyncDisposable {
  readonly dir: string = Deno.makeTempDirSync({ prefix: "inferd-client-" });

  /** The path of a socket that does not exist. */
  path(name = "infer.sock"): string {
    return `${this.dir}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

export function token(id: string, content: string): V1TokenFrame {
  return { id, type: "token", content };
}

export function done(id: string, content: string): V1DoneFrame {
  return {
    id,
    type: "done",
    content,
    usage: { prompt_tokens: 3, completion_tokens: 2 },
    stop_reason: "end",
    backend: "scripted",
  };
}

export function failed(id: string, code: string, message = "No"): Omit<V1ErrorFrame, "code"> & { code: string } {
  return { id, type: "error", code, message };
}

/** A frame of a v2 answer. */
export function part(id: string, block: V2Frame["block"]): V2Frame {
  return { id, type: "frame", block };
}

/** A frame with a piece of text. */
export function textPart(id: string, delta: string): V2Frame {
  return part(id, { type: "text", delta });
}

/** A frame with a call. */
export function callPart(id: string, [call, name, input]: readonly [string, string, object]): V2Frame {
  return part(id, { type: "tool_use", tool_call_id: call, name, input: { ...input } });
}

export function doneV2(id: string, fields: Partial<V2DoneFrame> = {}): V2DoneFrame {
  return {
    id,
    type: "done",
    usage: { input_tokens: 3, output_tokens: 2, cached_tokens: 1 },
    timings: { queue_ms: 1, prompt_ms: 2, generation_ms: 3 },
    stop_reason: "end_turn",
    backend: "scripted",
    ...fields,
  };
}

/** A v2 request as it arrived. */
export type AskedV2 = V2Request & { readonly id: string };

/** Answers one v2 request after the other, whatever the connection, and keeps what was asked. */
export function answeringV2(
  ...answers: readonly ((id: string, request: AskedV2) => readonly unknown[])[]
): { readonly script: Script; readonly asked: AskedV2[] } {
  const asked: AskedV2[] = [];
  const script: Script = async (peer) => {
    for (let line = await peer.line(); line !== null; line = await peer.line()) {
      const request: AskedV2 = JSON.parse(line);
      const answer = answers[asked.push(request) - 1];
      if (answer === undefined) throw new Error(`Nobody expected a request number ${asked.length}`);
      await peer.send(...answer(request.id, request));
    }
  };
  return { script, asked };
}

/** Answers every request with these tokens. */
export function answering(...tokens: readonly string[]): Script {
  return async (peer) => {
    for (;;) {
      const line = await peer.line();
      if (line === null) return;
      const { id } = JSON.parse(line);
      await peer.send(...tokens.map((text) => token(id, text)), done(id, tokens.join("")));
    }
  };
}

/** Answers one request as told, then waits for the client to leave. */
export function once(answer: (id: string, peer: Peer) => Promise<unknown>): Script {
  return async (peer) => {
    const { id } = await peer.request();
    await answer(id, peer);
    await peer.gone();
  };
}

/** A client of a scripted server, which has every surface on one socket. */
export async function withServer(
  script: Script,
  test: (client: Client, server: ScriptedServer) => Promise<void>,
  options: ConnectOptions = {},
): Promise<void> {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(script, { path: scratch.path() });
  const paths = { v2: scratch.path(), embed: scratch.path() };
  await using client = await connect({ path: scratch.path(), paths, ...options });
  await test(client, server);
}

/** As {@linkcode withServer}, with a daemon that has v2 alone. */
export async function withV2(
  script: Script,
  test: (client: Client, server: ScriptedServer) => Promise<void>,
): Promise<void> {
  await using scratch = new Scratch();
  await using server = new ScriptedServer(script, { path: scratch.path("infer.v2.sock") });
  await using client = await connect({ path: scratch.path(), surface: "v2", maxRetries: 0 });
  await test(client, server);
}
