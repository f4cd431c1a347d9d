/** One inference surface on its sockets. What is said on a connection belongs to `connection.ts`. */
import type { Service } from "../inference/backend.ts";
import type { TcpAddress } from "../config/options.ts";
import type { ActivityLog } from "../log/log.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Surface } from "../surfaces/surface.ts";
import { Authenticator } from "./auth.ts";
import { Connection, type ConnectionTimes, DEFAULT_TIMES } from "./connection.ts";
import type { Peers } from "./peer.ts";
import { SocketServer } from "./socket_server.ts";

/** Permission bits of the socket file: its owner and its group may ask. */
const SOCKET_MODE = 0o660;

/** What an inference server needs. */
export interface InferenceServerOptions extends Partial<ConnectionTimes> {
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  readonly unix?: { readonly path: string; readonly group?: string };
  readonly tcp?: { readonly address: TcpAddress; readonly apiKey?: string };
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
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
    super({
      name: surface.name,
      ...(unix === undefined ? {} : { unix: { ...unix, mode: SOCKET_MODE } }),
      ...(tcp === undefined ? {} : { tcp }),
      peers,
      log,
      open: (accepted) =>
        new Connection({
          ...accepted,
          surface,
          pipeline,
          log: serverLog,
          times,
          ...("setNoDelay" in accepted.conn && authenticator !== undefined ? { authenticator } : {}),
        }),
    });
    this.service = surface.service;
  }
}
