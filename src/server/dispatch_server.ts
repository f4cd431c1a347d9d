/** Dispatch on its socket, which only its owner may open. What is said there belongs to `dispatch_connection.ts`. */
import type { ActivityLog } from "../log/log.ts";
import type { Dispatch } from "../surfaces/dispatch.ts";
import { DEFAULT_DISPATCH_TIMES, DispatchConnection, type DispatchTimes } from "./dispatch_connection.ts";
import type { Peers } from "./peer.ts";
import { type Shared, unsharedMemory } from "./shared.ts";
import { SocketServer } from "./socket_server.ts";

/** Permission bits of the socket file: its owner only. */
const SOCKET_MODE = 0o600;

/** What a dispatch server needs. */
export interface DispatchServerOptions extends Partial<DispatchTimes>, Shared {
  readonly path: string;
  readonly dispatch: Dispatch;
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
}

/** Serves dispatch. */
export class DispatchServer extends SocketServer {
  constructor(options: DispatchServerOptions) {
    const { path, dispatch, peers, log } = options;
    const times: DispatchTimes = {
      requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_DISPATCH_TIMES.requestTimeoutMs,
      idleWriteTimeoutMs: options.idleWriteTimeoutMs ?? DEFAULT_DISPATCH_TIMES.idleWriteTimeoutMs,
      halfClosedMs: options.halfClosedMs ?? DEFAULT_DISPATCH_TIMES.halfClosedMs,
    };
    const serverLog = log.for("server");
    const { memory = unsharedMemory(), limit } = options;
    super({
      name: "dispatch",
      unix: { path, mode: SOCKET_MODE },
      peers,
      log,
      ...(limit === undefined ? {} : { limit }),
      open: (accepted) => new DispatchConnection({ ...accepted, dispatch, log: serverLog, times, memory }),
    });
  }
}
