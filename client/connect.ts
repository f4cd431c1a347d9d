/** Finds a daemon, starts one if requested, and waits until it is ready. */
import { Connection } from "./wire/connection.ts";
import { checkSurfaces, type Endpoint, endpointName, surfaceEndpoint, unixSurfaceEndpoint } from "./endpoints.ts";
import {
  checkCount,
  type ConnectOptions,
  DEFAULT_MAX_CONCURRENT,
  DEFAULT_MAX_RETRIES,
  DEFAULT_READY_TIMEOUT_MS,
  timeoutOr,
} from "./options.ts";
import { Gate } from "./gate.ts";
import { checkKeys } from "./known_keys.ts";
import { StatusHub } from "./status.ts";
import { spawnPlan } from "./spawn_plan.ts";
import { persist, within } from "./patience.ts";
import { Pool } from "./wire/pool.ts";
import { PoolingClient } from "./pooling_client.ts";
import type { Client } from "./client.ts";

const KEYS: Readonly<Record<keyof ConnectOptions, true>> = {
  path: true,
  paths: true,
  tcp: true,
  surface: true,
  adminPath: true,
  spawn: true,
  timeoutMs: true,
  signal: true,
  maxRetries: true,
  requestTimeoutMs: true,
  maxConcurrent: true,
  debug: true,
  transport: true,
};

/**
 * Connect to a daemon, and wait for it to become ready: first 100 ms, then doubling up to 5 s between attempts. A
 * daemon that is not there yet is waited for; what waiting does not fix (permission denied, not a socket) fails at
 * once.
 *
 * Ready means that the socket of `surface` is there. A daemon without a model that generates has no `infer` socket: name
 * the surface that is wanted then. The others are connected to when they are first used.
 *
 * Over TCP a wrong API key shows at the first request, not here: the daemon just closes the connection.
 *
 * With `spawn`, a daemon is started where none answers; however many processes want one at once, one of them starts it.
 * It is looked for every 100 ms for 5 s. One that lives by then but is still loading its model is waited for as any
 * other, for `timeoutMs` from then on. In Deno this takes `--allow-run`, `--allow-env`, and reading and writing the
 * runtime directory.
 *
 * @param options Where the daemon is, and how long to wait.
 * @returns The client.
 * @throws {ConnectError} If waiting does not fix it, or `timeoutMs` is 0 and there is no daemon.
 * @throws {TimeoutError} If there is no daemon for `timeoutMs`; its cause is the last `ConnectError`.
 * @throws {TypeError} If options contradict each other or cannot be an endpoint.
 * @throws {RangeError} If a number or the length of a path is out of range.
 * @throws The signal's reason, if it was aborted.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function main(): Promise<void> {
 *   await using client = await connect({ tcp: { port: 47321, apiKey: "..." }, timeoutMs: 60_000 });
 *   console.log(await client.generate("Say hello.").text());
 * }
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const call = new Error();
  const { surface = "infer" } = options;
  const endpoint = surfaceEndpoint(surface, options);
  checkSurfaces(options);
  checkKeys("connect", options, KEYS);
  const { maxConcurrent = DEFAULT_MAX_CONCURRENT, maxRetries = DEFAULT_MAX_RETRIES, transport } = options;
  checkCount("maxConcurrent", maxConcurrent, 1);
  checkCount("maxRetries", maxRetries, 0);
  const requestTimeoutMs = timeoutOr(options.requestTimeoutMs, Infinity);
  const hub = new StatusHub(options.debug);
  const timeoutMs = timeoutOr(options.timeoutMs, DEFAULT_READY_TIMEOUT_MS);
  const name = endpointName(endpoint);
  const checkDaemon = await spawnIfAsked(endpoint, options, call);
  const first = await persist(async (signal) => {
    await checkDaemon?.(signal);
    return await Connection.open(endpoint, signal, transport);
  }, {
    what: `reach a daemon at "${name}"`,
    timeoutMs,
    signal: options.signal,
    call,
  });
  hub.connection(name, true);
  const pools = new Map([[surface, new Pool(endpoint, { first, hub, transport })]]);
  return new PoolingClient(name, {
    pools,
    hub,
    gate: new Gate(maxConcurrent),
    defaults: { maxRetries, timeoutMs: requestTimeoutMs },
    transport,
    endpointOf: (other) => surfaceEndpoint(other, options),
    locateAdmin: () => unixSurfaceEndpoint("admin", options.adminPath),
  });
}

/** Make sure that a daemon runs; what comes back looks whether it still does. */
async function spawnIfAsked(
  endpoint: Endpoint,
  options: ConnectOptions,
  call: Error,
): Promise<((signal: AbortSignal) => Promise<void>) | undefined> {
  if (!options.spawn) return undefined;
  if (!("path" in endpoint)) throw new TypeError('Cannot combine "spawn" with TCP');
  const plan = spawnPlan(options);
  const endpoints = { ready: endpoint, admin: unixSurfaceEndpoint("admin", options.adminPath) };
  // Loaded when it is needed: few clients start a daemon, and it costs time and, in Deno, permissions.
  const { ensureDaemon } = await import("./spawn.ts");
  return await within((signal) => ensureDaemon(plan, endpoints, signal), {
    what: `start a daemon at "${endpointName(endpoint)}"`,
    timeoutMs: Infinity,
    signal: options.signal,
    call,
  });
}
