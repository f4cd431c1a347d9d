/** A whole daemon in a folder of its own. */
import type { Admin } from "@inferd/client";
import type { DaemonOptions, MockScript, SurfaceName } from "../../src/config/options.ts";
import { type Daemon, startDaemon, type StartOptions } from "../../src/daemon/boot.ts";
import { LogRecorder } from "./log_recorder.ts";
import { WireClient } from "./wire_client.ts";

/** A daemon under test and where it lives. */
export class DaemonUnderTest implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly options: DaemonOptions;
  readonly log: LogRecorder;
  readonly #dir: string;

  private constructor(daemon: Daemon, log: LogRecorder, dir: string) {
    this.daemon = daemon;
    this.options = daemon.options;
    this.log = log;
    this.#dir = dir;
  }

  /** Start one; resolves when its admin socket stands. */
  static async start(
    options: Partial<DaemonOptions> = {},
    parts: Omit<StartOptions, "log"> = {},
  ): Promise<DaemonUnderTest> {
    const dir = await Deno.makeTempDir({ prefix: "inferd-" });
    const log = new LogRecorder();
    try {
      return new DaemonUnderTest(await startDaemon(daemonOptions(dir, options), { ...parts, log }), log, dir);
    } catch (error) {
      await Deno.remove(dir, { recursive: true });
      throw error;
    }
  }

  /** Start one with a single mock backend, `m1`; resolves when it is ready. */
  static async withMock(script: MockScript = {}): Promise<DaemonUnderTest> {
    const test = await DaemonUnderTest.start({ backends: [{ kind: "mock", name: "m1", script }] });
    await test.daemon.ready;
    return test;
  }

  /** Connect to the admin socket. */
  admin(): Promise<WireClient> {
    return WireClient.connect(this.options.adminSocket);
  }

  /** Connect to the generation socket. */
  infer(): Promise<WireClient> {
    return WireClient.connect(this.options.listen.infer.socket);
  }

  /** Connect to a surface's socket. */
  surface(name: SurfaceName): Promise<WireClient> {
    return WireClient.connect(this.options.listen[name].socket);
  }

  /** The files of the runtime directory, sorted. */
  files(): string[] {
    return filesIn(this.options.runtimeDir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon.drain();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Options for a daemon that keeps everything below one folder. */
export function daemonOptions(dir: string, options: Partial<DaemonOptions> = {}): DaemonOptions {
  const runtimeDir = options.runtimeDir ?? `${dir}/run`;
  return {
    backends: [{ kind: "mock", name: "mock", script: {} }],
    runtimeDir,
    listen: {
      infer: { socket: `${runtimeDir}/infer.sock` },
      v2: { socket: `${runtimeDir}/infer.v2.sock` },
      embed: { socket: `${runtimeDir}/infer.embed.sock` },
      rerank: { socket: `${runtimeDir}/infer.rerank.sock` },
    },
    http: { enabled: false, address: { hostname: "127.0.0.1", port: 47325 }, origins: [], aliases: {} },
    rpcSocket: `${runtimeDir}/rpc.sock`,
    namespace: "default",
    adminSocket: `${runtimeDir}/admin.sock`,
    lockPath: `${runtimeDir}/inferd.lock`,
    modelsHome: `${dir}/models`,
    autoPull: true,
    parallel: 4,
    queueDepth: 10,
    maxConnections: 2048,
    readyTimeoutSecs: 30,
    drainTimeoutSecs: 10,
    exitWhenDown: false,
    logDir: `${dir}/logs`,
    logLevel: "info",
    ...options,
  };
}

/** The names in a folder, sorted; empty if there is no folder. */
export function filesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Resolves when a request waits, with all places taken. */
export async function untilQueued(admin: Admin): Promise<void> {
  for await (const event of admin.watch({ requests: true })) {
    if (event.status === "request" && event.change === "waiting") return;
  }
  throw new Error("The daemon has ended");
}

/** What an admin stream says, without the head every frame has: `ready`, `loading_model mmap`. */
export async function status(admin: WireClient): Promise<string | undefined> {
  const line = await admin.line();
  if (line === undefined) return undefined;
  const { status, phase } = JSON.parse(line) as { status: string; phase?: string };
  return phase === undefined ? status : `${status} ${phase}`;
}

/** Read an admin stream until it says so; everything it said, that included. */
export async function until(admin: WireClient, wanted: string): Promise<string[]> {
  const said: string[] = [];
  for (;;) {
    const next = await status(admin);
    if (next === undefined) throw new Error(`The admin stream ended after ${said.join(", ")}`);
    said.push(next);
    if (next === wanted) return said;
  }
}
