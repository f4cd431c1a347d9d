/** Dispatch on its socket, which only its owner may open. What is said there belongs to `dispatch_connection.ts`. */
import type { ActivityLog } from "../log/log.ts";
import type { Dispatch } from "../surfaces/dispatch.ts";
import { DEFAULT_DISPATCH_TIMES, DispatchConnection, type DispatchTimes } from "./dispatch_connection.ts";
import type { Peers } from "./peer.ts";
import { type Shared, unsharedMemory } from "./shared.ts";
import { SocketServer } from "./socket_server.ts";

/** Permission bits of the socket file: its owner only. */
const SOCKET_MODE = 0o600;

export interface DispatchServerOptions extends Partial<DispatchTimes>, Shared {
  readonly path: string;
  readonly dispatch: Dispatch;
  /** As in `SocketServerOptions`. */
  readonly peers: Peers | undefined;
  readonly log: ActivityLog;
}

export class DispatchServer extends SocketServer {
  constructor(options: DispatchServerOptions) {
    const { path, dispatch, peers, log, memory = unsharedMemory(), limit, refusals: _, pace: __, ...given } = options;
    const times: DispatchTimes = { ...DEFAULT_DISPATCH_TIMES, ...given };
    const serverLog = log.for("server");
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
