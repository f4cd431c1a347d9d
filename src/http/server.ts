/**
 * The bridge as a server: it listens, limits what one connection may cost, and ends. Node's HTTP server is used because
 * it has the limits that Deno's own lacks: on the time a header and a body may take, on idle connections and on their
 * number.
 */
import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { TcpAddress } from "@inferd/client/paths";
import { createApp } from "./app.ts";
import { Bridge } from "./bridge.ts";
import { DaemonLink, type DaemonPlace } from "./daemon_link.ts";
import { isStream } from "./event_stream.ts";
import { Metrics } from "./metrics.ts";

/** Everything the bridge is told. */
export interface HttpOptions {
  readonly listen: TcpAddress;
  readonly daemon: DaemonPlace;
  /** What clients must present; absent: nothing, and only loopback is listened on. */
  readonly apiKey?: string | undefined;
  /** Origins of web pages that may ask, besides the server's own. */
  readonly origins: readonly string[];
  /** Names that clients use for models, and what the daemon calls them. */
  readonly aliases: Readonly<Record<string, string>>;
  /** What somebody on this machine types to download a model. */
  readonly pullCommand?: string;
  /** Told of mistakes of this program's. */
  readonly onUnexpected?: (error: unknown) => void;
  /** For tests; absent: {@linkcode LIMITS}. */
  readonly limits?: Partial<ConnectionLimits>;
}

/** What one connection, and all of them, may cost. */
export interface ConnectionLimits {
  /** Milliseconds from the connection, or the answer before, to the end of a request's header. */
  readonly headerMs: number;
  /** Milliseconds to the end of a request's body. */
  readonly requestMs: number;
  /** Milliseconds a connection stays open between two requests. */
  readonly idleMs: number;
  /** Connections at a time; more are closed at once. */
  readonly connections: number;
}

/** The limits where nothing else is said. */
export const LIMITS: ConnectionLimits = { headerMs: 10_000, requestMs: 60_000, idleMs: 75_000, connections: 2048 };

/** A server that runs. Disposal ends it at once. */
export interface HttpServer extends AsyncDisposable {
  /** Where it listens, e.g. `http://127.0.0.1:47325`. */
  readonly url: string;
  /** Take no more requests, and resolve once those that run are answered. */
  drain(): Promise<void>;
}

/** How long answers get to finish on a drain, in milliseconds. */
const DRAIN_MS = 10_000;

/** How often connections are checked against their limits, in milliseconds, at most. */
const CHECK_MS = 1000;

/**
 * Listen.
 *
 * @param options Where, and for whom.
 * @returns The server.
 * @throws {Error} If the address cannot be listened on; `code` says why, e.g. `EADDRINUSE`.
 */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const limits = { ...LIMITS, ...options.limits };
  const link = new DaemonLink(options.daemon, options.aliases, options.pullCommand);
  const draining = new AbortController();
  const app = createApp({
    draining: draining.signal,
    hostname: options.listen.hostname,
    apiKey: options.apiKey,
    origins: options.origins,
    bridge: new Bridge(link, new Metrics(link)),
    onUnexpected: options.onUnexpected ?? ((): void => {}),
  });
  const server = createServer(
    {
      headersTimeout: limits.headerMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headerMs),
    },
    getRequestListener(async (request, { incoming }) => {
      const response = await app.fetch(request);
      // Otherwise the listener keeps the first piece for a moment, to see whether it is all and has a length.
      if (isStream(response) && incoming.httpVersion !== "1.0") response.headers.set("Transfer-Encoding", "chunked");
      return response;
    }, { overrideGlobalObjects: false }),
  );
  server.maxConnections = limits.connections;
  try {
    await listening(server, options.listen);
  } catch (error) {
    await link[Symbol.asyncDispose]();
    throw error;
  }
  const closed = Promise.withResolvers<void>();
  server.once("close", () => closed.resolve());
  const end = async (graceMs: number): Promise<void> => {
    server.close();
    draining.abort();
    server.closeIdleConnections();
    const late = setTimeout(() => server.closeAllConnections(), graceMs);
    await closed.promise;
    clearTimeout(late);
    await link[Symbol.asyncDispose]();
  };
  let ending: Promise<void> | undefined;
  return {
    url: urlOf(server),
    drain: () => ending ??= end(DRAIN_MS),
    [Symbol.asyncDispose]: () => ending ??= end(0),
  };
}

async function listening(server: Server, { hostname, port }: TcpAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, hostname, resolve);
  await promise;
  server.off("error", reject);
}

function urlOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server listens on no TCP address");
  return `http://${address.address.includes(":") ? `[${address.address}]` : address.address}:${address.port}`;
}
