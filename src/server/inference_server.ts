/** The sockets of one inference surface. The protocol on a connection belongs to `connection.ts`. */
import type { Service } from "../inference/backend.ts";
import { TCP_IDLE_SECS } from "../config/defaults.ts";
import type { Listen, SurfaceName, TcpAddress } from "../config/options.ts";
import type { ActivityLog } from "../log/log.ts";
import { errorFrame } from "../pipeline/errors.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Surface } from "../surfaces/surface.ts";
import { Authenticator } from "./auth.ts";
import { Connection, type ConnectionTimes, DEFAULT_TIMES } from "./connection.ts";
import type { Peers } from "./peer.ts";
import { RefusalRate } from "./refusal_rate.ts";
import { UNPACED } from "../ndjson/pace.ts";
import { type Shared, unsharedMemory } from "./shared.ts";
import { SocketServer } from "./socket_server.ts";

/** Permission bits of the socket file: its owner and its group may ask. */
const SOCKET_MODE = 0o660;

export interface InferenceServerOptions extends Partial<Omit<ConnectionTimes, "idleMs">>, Shared {
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  readonly unix?: { readonly path: string; readonly group?: string };
  readonly tcp?: { readonly address: TcpAddress; readonly apiKey?: string };
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** How long a connection may stay without a request; absent: an hour on TCP, for ever on unix sockets. */
  readonly idleMs?: number;
}

/** What may change while it serves. */
interface ServerSettings {
  apiKey: string | undefined;
  authenticator: Authenticator | undefined;
  idleMs: number | undefined;
}

export class InferenceServer extends SocketServer {
  readonly #settings: ServerSettings;
  /** What its requests ask of a backend. */
  readonly service: Service;

  constructor(options: InferenceServerOptions) {
    const { surface, pipeline, unix, tcp, peers, log, ...rest } = options;
    const { memory = unsharedMemory(), refusals = new RefusalRate(), pace = UNPACED, limit, ...timed } = rest;
    const { idleMs: unixIdleMs, ...given } = timed;
    const times: ConnectionTimes = { ...DEFAULT_TIMES, ...given };
    // Read for each accepted connection: they may change while the server runs.
    const settings: ServerSettings = {
      apiKey: tcp?.apiKey,
      authenticator: tcp?.apiKey === undefined ? undefined : new Authenticator(tcp.apiKey),
      idleMs: unixIdleMs,
    };
    const serverLog = log.for("server");
    const idleMs = (isTcp: boolean): number | undefined =>
      settings.idleMs ?? (isTcp ? TCP_IDLE_SECS * 1000 : undefined);
    super({
      name: surface.name,
      ...(unix === undefined ? {} : { unix: { ...unix, mode: SOCKET_MODE } }),
      ...(tcp === undefined ? {} : { tcp: { address: tcp.address, apiKey: () => settings.apiKey } }),
      peers,
      log,
      ...(limit === undefined ? {} : { limit }),
      refusal: (message) => errorFrame("", { code: "queue_full", message }),
      open: (accepted) => {
        const isTcp = "setNoDelay" in accepted.conn;
        const idle = idleMs(isTcp);
        const { authenticator } = settings;
        return new Connection({
          ...accepted,
          surface,
          pipeline,
          log: serverLog,
          times: idle === undefined ? times : { ...times, idleMs: idle },
          memory,
          refusals,
          pace,
          ...(isTcp && authenticator !== undefined ? { authenticator } : {}),
        });
      },
    });
    this.service = surface.service;
    this.#settings = settings;
  }

  /** Serve connections that are accepted from now on with other settings, as in `InferenceServerOptions`. */
  configure({ apiKey, idleMs }: { readonly apiKey?: string; readonly idleMs?: number }): void {
    const settings = this.#settings;
    if (apiKey !== settings.apiKey) {
      settings.apiKey = apiKey;
      settings.authenticator = apiKey === undefined ? undefined : new Authenticator(apiKey);
    }
    settings.idleMs = idleMs;
  }
}

/** Where surfaces listen, with the ports that the system chose; `servers` are in the order of `names`. */
export function withPorts(
  listen: Readonly<Record<SurfaceName, Listen>>,
  names: readonly SurfaceName[],
  servers: readonly InferenceServer[],
): Record<SurfaceName, Listen> {
  const found = { ...listen };
  for (const [index, name] of names.entries()) {
    const port = servers[index]?.port;
    const { tcp, ...rest } = found[name];
    if (tcp !== undefined && port !== undefined) found[name] = { ...rest, tcp: { ...tcp, port } };
  }
  return found;
}
