/** A daemon and the bridge to HTTP in front of it, in this process. */
import type { MockScript } from "../../src/config/options.ts";
import type { StartOptions } from "../../src/daemon/boot.ts";
import { type HttpOptions, type HttpServer, startHttp } from "../../src/http/server.ts";
import type { DaemonOptions } from "../../src/config/options.ts";
import { DaemonUnderTest } from "./daemons.ts";

/** What a test may say of both. */
export interface BridgeOptions {
  /** How the one mock backend behaves; not with `backends`. */
  readonly script?: MockScript;
  readonly daemon?: Partial<DaemonOptions>;
  readonly parts?: Omit<StartOptions, "log">;
  readonly http?: Partial<HttpOptions>;
}

/** A bridge under test. */
export class BridgeUnderTest implements AsyncDisposable {
  readonly daemon: DaemonUnderTest;
  /** Mistakes of the bridge's. */
  readonly unexpected: readonly unknown[];
  readonly #server: HttpServer;

  private constructor(daemon: DaemonUnderTest, server: HttpServer, unexpected: readonly unknown[]) {
    this.daemon = daemon;
    this.#server = server;
    this.unexpected = unexpected;
  }

  /** Start both; resolves when the daemon is ready. */
  static async start(options: BridgeOptions = {}): Promise<BridgeUnderTest> {
    const { script = {}, daemon = {}, parts, http = {} } = options;
    const test = await DaemonUnderTest.start(
      { backends: [{ kind: "mock", name: "mock", script }], ...daemon },
      parts,
    );
    await test.daemon.ready;
    const unexpected: unknown[] = [];
    const server = await startHttp({
      listen: { hostname: "127.0.0.1", port: 0 },
      daemon: placeOf(test.options),
      origins: [],
      aliases: {},
      onUnexpected: (error) => unexpected.push(error),
      ...http,
    });
    return new BridgeUnderTest(test, server, unexpected);
  }

  /** `http://127.0.0.1:PORT`. */
  get url(): string {
    return this.#server.url;
  }

  /** Stop accepting requests and let those that run end. */
  async drain(): Promise<void> {
    await this.#server.drain();
  }

  /** Ask; the body is JSON. */
  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return await answerOf(response);
  }

  /** Ask with nothing but a path. */
  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return await answerOf(await fetch(`${this.url}${path}`, { headers }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.daemon[Symbol.asyncDispose]();
  }
}

/** A response that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text, parsed. */
  readonly json: Record<string, unknown>;
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** Where a daemon's sockets are, for a bridge. */
export function placeOf(options: DaemonOptions): HttpOptions["daemon"] {
  const { listen, adminSocket } = options;
  const paths = { v2: listen.v2.socket, embed: listen.embed.socket, rerank: listen.rerank.socket };
  const at = { path: listen.infer.socket, paths };
  return {
    surfaces: {
      infer: at,
      v2: { ...at, surface: "v2" },
      embed: { ...at, surface: "embed" },
      rerank: { ...at, surface: "rerank" },
    },
    admin: { path: adminSocket },
  };
}

/** The built-in model, for tests of real inference. */
export const BUILT_IN_BACKEND = { kind: "llamacpp", name: "llamacpp", modelName: "inferd-tiny" } as const;
