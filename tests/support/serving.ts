/** The serving rooms without the daemon around them: v1 on real sockets over any backend. */
import type { Backend } from "../../src/inference/backend.ts";
import { MockBackend } from "../../src/backend/mock.ts";
import type { MockScript } from "../../src/config/options.ts";
import { Admission } from "../../src/pipeline/admission.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { Router } from "../../src/pipeline/router.ts";
import { ConnectionLimit } from "../../src/server/connection_limit.ts";
import type { RefusalRate } from "../../src/server/refusal_rate.ts";
import { InferenceServer } from "../../src/server/inference_server.ts";
import { MemoryBudget } from "../../src/server/memory_budget.ts";
import { Peers } from "../../src/server/peer.ts";
import { v1Surface } from "../../src/surfaces/v1.ts";
import { LogRecorder } from "./log_recorder.ts";
import { WireClient } from "./wire_client.ts";

/** What may differ from test to test. */
export interface ServingOptions {
  /** Default: a mock that answers " a", " b". */
  readonly backends?: readonly Backend[];
  readonly active?: number;
  readonly depth?: number;
  /** Listen on TCP, too. */
  readonly tcp?: { readonly apiKey?: string };
  readonly idleWriteTimeoutMs?: number;
  readonly authTimeoutMs?: number;
  readonly lingerMs?: number;
  readonly halfClosedMs?: number;
  readonly idleMs?: number;
  /** Of all connections; absent: as many as there are descriptors. */
  readonly maxConnections?: number;
  /** Bytes of requests that may be held. */
  readonly memoryBytes?: number;
  readonly refusals?: RefusalRate;
  /** Whether the kernel can be asked who connects and who is gone. Default: where this system can. */
  readonly asksKernel?: boolean;
}

/** An admission that tells when somebody asks it. */
class WatchedAdmission extends Admission {
  #asked = Promise.withResolvers<void>();

  override acquire(...request: Parameters<Admission["acquire"]>): ReturnType<Admission["acquire"]> {
    const permit = super.acquire(...request);
    this.#asked.resolve();
    this.#asked = Promise.withResolvers();
    return permit;
  }

  /** Resolves when so many requests wait. */
  async untilWaiting(count: number): Promise<void> {
    while (this.status().waiting !== count) await this.#asked.promise;
  }
}

/** A running server and what belongs to it. */
export class Serving implements AsyncDisposable {
  readonly server: InferenceServer;
  readonly admission: WatchedAdmission;
  readonly log: LogRecorder;
  readonly socketPath: string;
  readonly port: number;
  readonly #dir: string;
  readonly #peers: Peers | undefined;

  private constructor(
    parts: Pick<Serving, "server" | "admission" | "log" | "port"> & {
      readonly dir: string;
      readonly peers: Peers | undefined;
    },
  ) {
    this.server = parts.server;
    this.admission = parts.admission;
    this.log = parts.log;
    this.port = parts.port;
    this.#dir = parts.dir;
    this.#peers = parts.peers;
    this.socketPath = `${parts.dir}/infer.sock`;
  }

  /** Start a server on a socket in a folder of its own. */
  static async start(options: ServingOptions = {}): Promise<Serving> {
    const {
      backends = [await readyMock({ tokens: [" a", " b"] })],
      active = 4,
      depth = 10,
      tcp,
      asksKernel = true,
      maxConnections,
      memoryBytes,
      ...times
    } = options;
    const log = new LogRecorder();
    const peers = asksKernel ? Peers.open(log) : undefined;
    const admission = new WatchedAdmission({ active, depth });
    const router = new Router(backends, {
      onBreaker: (backend, change) => log.info(`breaker_${change}`, { backend }),
    });
    const dir = await Deno.makeTempDir({ prefix: "inferd-" });
    const server = new InferenceServer({
      surface: v1Surface,
      pipeline: new Pipeline({ service: "v1", admission: () => admission, router, log }),
      unix: { path: `${dir}/infer.sock` },
      ...(tcp === undefined ? {} : { tcp: { address: { hostname: "127.0.0.1", port: 0 }, ...tcp } }),
      peers,
      log,
      ...(maxConnections === undefined ? {} : { limit: new ConnectionLimit(maxConnections, log) }),
      ...(memoryBytes === undefined ? {} : { memory: new MemoryBudget(memoryBytes) }),
      ...times,
    });
    await server.bind();
    const tcpAddress = tcp === undefined ? ":0" : String((await log.next("listening")).fields.address);
    return new Serving({ server, admission, log, port: Number(tcpAddress.split(":").at(-1)), dir, peers });
  }

  /** Connect to the unix socket. */
  connect(): Promise<WireClient> {
    return WireClient.connect(this.socketPath);
  }

  /** Connect to the TCP port. */
  connectTcp(): Promise<WireClient> {
    return WireClient.connect(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.#peers?.[Symbol.dispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** A mock backend that has started. */
export async function readyMock(script: MockScript, name = "mock"): Promise<MockBackend> {
  const backend = new MockBackend({ kind: "mock", name, script });
  await backend.start(() => {}, new AbortController().signal);
  return backend;
}

/** The smallest request there is. */
export function ask(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { messages: [{ role: "user", content: "hello" }], ...fields };
}
