/** One inference surface on its sockets. What is said on a connection belongs to `connection.ts`. */
import type { Service } from "../inference/backend.ts";
import type { TcpAddress } from "../config/options.ts";
import type { ActivityLog } from "../log/log.ts";
import { errorFrame } from "../pipeline/errors.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Surface } from "../surfaces/surface.ts";
import { Authenticator } from "./auth.ts";
import { Connection, type ConnectionTimes, DEFAULT_TIMES } from "./connection.ts";
import type { Peers } from "./peer.ts";
import { type Shared, unsharedMemory } from "./shared.ts";
import { SocketServer } from "./socket_server.ts";

/** Permission bits of the socket file: its owner and its group may ask. */
const SOCKET_MODE = 0o660;

/** How long a connection of TCP may be without a request, in milliseconds: what is between may have forgotten it. */
const TCP_IDLE_MS = 3_600_000;

/** What an inference server needs. */
export interface InferenceServerOptions extends Partial<Omit<ConnectionTimes, "idleMs">>, Shared {
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  readonly unix?: { readonly path: string; readonly group?: string };
  readonly tcp?: { readonly address: TcpAddress; readonly apiKey?: string };
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
  /** How long a connection may be without a request; absent: an hour on TCP, for ever on unix sockets. */
  readonly idleMs?: number;
}

/** Serves one surface. */
export class InferenceServer extends SocketServer {
  /** What its requests ask of a backend. */
  readonly service: Service;

  constructor(options: InferenceServerOptions) {
    const { surface, pipeline, unix, tcp, peers, log } = options;
    const times: ConnectionTimes = {
      idleWriteTimeoutMs: options.idleWriteTimeoutMs ?? DEFAULT_TIMES.idleWriteTimeoutMs,
      authTimeoutMs: options.authTimeoutMs ?? DEFAULT_TIMES.authTimeoutMs,
      lingerMs: options.lingerMs ?? DEFAULT_TIMES.lingerMs,
      halfClosedMs: options.halfClosedMs ?? DEFAULT_TIMES.halfClosedMs,
    };
    const authenticator = tcp?.apiKey === undefined ? undefined : new Authenticator(tcp.apiKey);
    const serverLog = log.for("server");
    const { memory = unsharedMemory(), limit } = options;
    const idleMs = (isTcp: boolean): number | undefined => options.idleMs ?? (isTcp ? TCP_IDLE_MS : undefined);
    super({
      name: surface.name,
      ...(unix === undefined ? {} : { unix: { ...unix, mode: SOCKET_MODE } }),
      ...(tcp === undefined ? {} : { tcp }),
      peers,
      log,
      ...(limit === undefined ? {} : { limit }),
      refusal: (message) => errorFrame("", { code: "queue_full", message }),
      open: (accepted) => {
        const isTcp = "setNoDelay" in accepted.conn;
        const idle = idleMs(isTcp);
        return new Connection({
          ...accepted,
          surface,
          pipeline,
          log: serverLog,
          times: idle === undefined ? times : { ...times, idleMs: idle },
          memory,
          ...(isTcp && authenticator !== undefined ? { authenticator } : {}),
        });
      },
    });
    this.service = surface.service;
  }
}
