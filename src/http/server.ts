/**
 * The bridge's HTTP server: listening, connection limits and shutdown. Uses Node's HTTP server for limits that Deno's
 * lacks: header and body timeouts, idle timeouts, and the number of connections.
 */
import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { TcpAddress } from "@inferd/client/paths";
import { createApp } from "./app.ts";
import type { Bindings } from "./body.ts";
import { MOST_PAUSED_MS } from "./slices.ts";
import { Bridge } from "./bridge.ts";
import { DaemonLink, type DaemonPlace } from "./daemon_link.ts";
import { withUsualNames } from "./header_names.ts";
import { isStream } from "./event_stream.ts";
import { Pace } from "../ndjson/pace.ts";
import { Metrics } from "./metrics.ts";
import type { ModelStore } from "./model_store.ts";

export interface HttpOptions {
  readonly listen: TcpAddress;
  readonly daemon: DaemonPlace;
  /** The required key; without one the server listens on loopback only. */
  readonly apiKey?: string | undefined;
  /** Allowed origins of web pages besides the server's own. */
  readonly origins: readonly string[];
  /** Model aliases for clients, mapped to the daemon's names. */
  readonly aliases: Readonly<Record<string, string>>;
  /** Store that clients may download into, closed with the server; absent: they may not. */
  readonly store?: ModelStore | undefined;
  /** The command that downloads a model on this machine. */
  readonly pullCommand?: string;
  readonly onUnexpected?: (error: unknown) => void;
  /** For tests; default: {@linkcode LIMITS}. */
  readonly limits?: Partial<ConnectionLimits>;
}

export interface ConnectionLimits {
  /** From connecting, or the previous response, to the end of the request header, in milliseconds. */
  readonly headerMs: number;
  /** Until the end of the request body, in milliseconds, without the bridge's own pauses. */
  readonly requestMs: number;
  /** How much longer that may take because the bridge pauses for others while it reads a large body. */
  readonly pausedMs: number;
  readonly idleMs: number;
  /** Maximum number of connections; further ones are closed immediately. */
  readonly connections: number;
}

export const LIMITS: ConnectionLimits = {
  headerMs: 10_000,
  requestMs: 60_000,
  pausedMs: MOST_PAUSED_MS,
  idleMs: 75_000,
  connections: 2048,
};

/** A running server. Disposal stops it immediately. */
export interface HttpServer extends AsyncDisposable {
  /** Its URL, e.g. `http://127.0.0.1:47325`. */
  readonly url: string;
  /** Stop accepting requests; resolves once running ones have finished. */
  drain(): Promise<void>;
}

/** How long running requests may take during a drain, in milliseconds. */
const DRAIN_MS = 10_000;

/** Longest interval between checks of connection limits, in milliseconds. */
const CHECK_MS = 1000;

/** @throws {Error} If the address cannot be bound; `code` is the reason, e.g. `EADDRINUSE`. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const limits = { ...LIMITS, ...options.limits };
  const link = new DaemonLink(options.daemon, options.aliases, options.pullCommand);
  const draining = new AbortController();
  const app = createApp({
    draining: draining.signal,
    hostname: options.listen.hostname,
    apiKey: options.apiKey,
    origins: options.origins,
    bridge: new Bridge(link, new Metrics(link), options.store),
    onUnexpected: options.onUnexpected ?? ((): void => {}),
  });
  const bindings: Bindings = { pace: new Pace(() => link.running) };
  const listener = getRequestListener(async (request, { incoming }) => {
    const response = await app.fetch(request, bindings);
    // Otherwise the listener delays the first piece briefly, to send a Content-Length if it is the only one.
    if (isStream(response) && incoming.httpVersion !== "1.0") response.headers.set("Transfer-Encoding", "chunked");
    return response;
  }, { overrideGlobalObjects: false });
  const server = createServer(
    {
      headersTimeout: limits.headerMs,
      requestTimeout: limits.requestMs + limits.pausedMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headerMs),
    },
    (incoming, outgoing) => listener(incoming, withUsualNames(outgoing)),
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
    options.store?.[Symbol.dispose]();
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
