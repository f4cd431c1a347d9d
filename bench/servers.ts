/**
 * The two servers under test, each started from its own program with the same model, threads and slots, in its own
 * folders. Knows their command lines and readiness checks.
 */
import { delay } from "@std/async/delay";
import { join, resolve } from "@std/path";
import { ACCELERATOR, acceleratorLibraries, IS_ACCELERATED } from "./accelerator.ts";
import { Process, processTree } from "./processes.ts";
import type { PeerEndpoint, Target } from "./load_job.ts";

/** The project's folder. */
export const PROJECT: string = join(import.meta.dirname ?? ".", "..");

/** Native libraries of both servers; undefined: npm's. */
export const LIBRARY_DIR: string | undefined = absolute(Deno.env.get("INFERD_BENCH_LIBRARY_DIR"));

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 5;

/** Settings common to both servers. */
export interface ServerOptions {
  readonly model: string;
  readonly threads: number;
  /** Requests decoded in parallel. */
  readonly parallel: number;
  /** Context tokens per request. */
  readonly contextTokens: number;
  /** File with a chat template that replaces the model's own; for the daemon it needs {@linkcode serveBackend}. */
  readonly chatTemplate?: string;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  readonly target: Target;
}

/** A ready llama-server. */
export class LlamaServer implements Server {
  readonly target: Target & { protocol: "llama-server" };
  readonly #process: Process;

  private constructor(process: Process, target: Target & { protocol: "llama-server" }) {
    this.#process = process;
    this.target = target;
  }

  /**
   * Start it and wait until it answers.
   *
   * @param folder Folder of `llama-server`.
   * @param options The served model and its settings.
   * @param endpoint The endpoint to use.
   * @returns The server.
   */
  static async start(folder: string, options: ServerOptions, endpoint: PeerEndpoint): Promise<LlamaServer> {
    const port = freePort();
    const { needs = [] } = await acceleratorLibraries() ?? {};
    const process = new Process("llama-server", join(folder, "llama-server"), {
      ...(needs.length === 0 ? {} : { env: { LD_LIBRARY_PATH: needs.join(":") } }),
      args: [
        ...["--model", options.model, "--host", "127.0.0.1", "--port", `${port}`],
        ...["--threads", `${options.threads}`, "--parallel", `${options.parallel}`],
        // Its context is divided among the slots.
        ...["--ctx-size", `${options.contextTokens * options.parallel}`],
        ...(options.chatTemplate === undefined ? [] : ["--jinja", "--chat-template-file", options.chatTemplate]),
      ],
    });
    try {
      void process.lines.cancel();
      const url = `http://127.0.0.1:${port}`;
      await answering(process, async () => {
        const response = await fetch(`${url}/health`);
        await response.body?.cancel();
        return response.ok;
      });
      const mark = "@PROMPT@";
      const response = await fetch(`${url}/apply-template`, {
        method: "POST",
        body: JSON.stringify({
          messages: [{ role: "user", content: mark }],
          chat_template_kwargs: { enable_thinking: false },
        }),
      });
      const [before = "", after = ""] = ((await response.json()).prompt as string).split(mark);
      return new LlamaServer(process, { protocol: "llama-server", endpoint, port, before, after });
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}

/** A ready inferd, in its own folders. */
export class Inferd implements Server {
  readonly target: Target & { protocol: "inferd" };
  /** From the command to the first accepted connection. */
  readonly readyMs: number;
  readonly #process: Process;
  readonly #home: string;

  private constructor(process: Process, home: string, started: { path: string; readyMs: number }) {
    this.#process = process;
    this.#home = home;
    this.target = { protocol: "inferd", path: started.path };
    this.readyMs = started.readyMs;
  }

  /**
   * Start the daemon and wait until it accepts a connection.
   *
   * @param args Arguments of `deno`.
   * @param env Further environment variables.
   * @param socket The socket to wait for and use.
   * @returns The daemon.
   */
  static async start(
    args: readonly string[],
    env: Record<string, string> = {},
    socket = "infer.sock",
  ): Promise<Inferd> {
    const home = await Deno.makeTempDir({ prefix: "inferd-bench-" });
    const path = join(home, "run", "inferd", socket);
    await Deno.mkdir(join(home, "run"));
    if (IS_ACCELERATED) await keepCompiledCode(home);
    const inherited = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("INFERD_"));
    const start = performance.now();
    const process = new Process("inferd", Deno.execPath(), {
      args: [...args],
      cwd: PROJECT,
      clearEnv: true,
      env: {
        ...Object.fromEntries(inherited),
        DENO_DIR: await denoDir(),
        HOME: home,
        XDG_RUNTIME_DIR: join(home, "run"),
        INFERD_ACCELERATOR: ACCELERATOR,
        ...(LIBRARY_DIR === undefined ? {} : { INFERD_LIBRARY_DIR: LIBRARY_DIR }),
        ...env,
      },
    });
    try {
      void process.lines.cancel();
      await answering(process, async () => {
        (await Deno.connect({ transport: "unix", path })).close();
        return true;
      });
      return new Inferd(process, home, { path, readyMs: performance.now() - start });
    } catch (error) {
      await process[Symbol.asyncDispose]();
      await Deno.remove(home, { recursive: true });
      throw error;
    }
  }

  /** The process that started it. */
  get process(): Process {
    return this.#process;
  }

  /** Process id of `inferd serve`, whatever started it. */
  async monitorPid(): Promise<number> {
    return Number(await Deno.readTextFile(join(this.#home, "run", "inferd", "inferd.pid")));
  }

  /** Process id of the daemon, a child of `inferd serve`. */
  async pid(): Promise<number> {
    for (const pid of await processTree(await this.monitorPid())) {
      const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (command.includes("/src/cli/daemon_main.ts")) return pid;
    }
    throw new Error("There is no daemon: inferd serve has not started it");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await Deno.remove(this.#home, { recursive: true });
  }
}

/** A ready inferd with its HTTP bridge. */
export class HttpInferd implements Server {
  readonly target: Target & { protocol: "inferd-http" };
  /** Process id of the bridge. */
  readonly bridgePid: number;
  readonly #daemon: Inferd;

  private constructor(daemon: Inferd, port: number, bridgePid: number) {
    this.#daemon = daemon;
    this.bridgePid = bridgePid;
    this.target = { protocol: "inferd-http", port };
  }

  /**
   * Start both and wait until the bridge answers.
   *
   * @param options The served model and its settings.
   * @returns Both as one server.
   */
  static async start(options: ServerOptions): Promise<HttpInferd> {
    const port = freePort();
    // A queue long enough for all clients; llama-server has no limit.
    const more = ["--queue-depth", "1000", "--http", `127.0.0.1:${port}`];
    const daemon = await Inferd.start([...serveModel(options), ...more]);
    try {
      await answering(daemon.process, async () => {
        const response = await fetch(`http://127.0.0.1:${port}/health`);
        await response.body?.cancel();
        return response.ok;
      });
      return new HttpInferd(daemon, port, await bridgeIn(daemon.process.pid));
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#daemon[Symbol.asyncDispose]();
  }
}

/**
 * Arguments that make the daemon serve a model with the same settings as the peer.
 *
 * @param options The served model and its settings.
 * @returns Arguments of `deno`.
 */
export function serveModel(options: ServerOptions): string[] {
  return ["run", "-A", "main.ts", "serve", ...modelFlags(options)];
}

/**
 * Flags of `serve` for a model.
 *
 * @param options The served model and its settings.
 * @returns The flags.
 */
export function modelFlags(options: ServerOptions): string[] {
  return [
    ...["--backend", "llamacpp", "--model", options.model, "--n-ctx", `${options.contextTokens}`],
    ...["--threads", `${options.threads}`, "--parallel", `${options.parallel}`],
  ];
}

/**
 * The same, with backend settings that require a configuration file.
 *
 * @param path Path of the file.
 * @param options The served model and its settings.
 * @param settings Settings of the backend.
 * @returns Arguments of `deno`.
 */
export async function serveBackend(
  path: string,
  options: ServerOptions,
  settings: Readonly<Record<string, unknown>>,
): Promise<string[]> {
  const { model, threads, parallel, contextTokens, chatTemplate } = options;
  const backend = {
    ...{ kind: "llamacpp", name: "bench", model: { path: model }, threads, parallel, n_ctx: contextTokens },
    ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
    ...settings,
  };
  await Deno.writeTextFile(path, JSON.stringify({ backends: [backend] }));
  return ["run", "-A", "main.ts", "serve", "--config", path];
}

/** The bridge among a daemon's processes. */
async function bridgeIn(pid: number): Promise<number> {
  for (const one of await processTree(pid)) {
    const args = (await Deno.readTextFile(`/proc/${one}/cmdline`)).split("\0");
    if (args.some((arg) => arg.endsWith("/src/cli/http_main.ts"))) return one;
  }
  throw new Error("The daemon runs no bridge");
}

function absolute(path: string | undefined): string | undefined {
  return path ? resolve(path) : undefined;
}

/** NVIDIA's driver keeps the code it compiles for the card at home, which takes minutes when it is not there. */
async function keepCompiledCode(home: string): Promise<void> {
  const kept = join(Deno.env.get("HOME") ?? "/", ".nv");
  await Deno.mkdir(kept, { recursive: true });
  await Deno.symlink(kept, join(home, ".nv"));
}

let knownDenoDir: Promise<string> | undefined;

/** Deno's cache folder, which must not move with `HOME`. */
function denoDir(): Promise<string> {
  knownDenoDir ??= new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()
    .then(({ stdout }) => JSON.parse(new TextDecoder().decode(stdout)).denoDir);
  return knownDenoDir;
}

/** Wait until a server answers; fails if it exits. */
export async function answering(process: Process, ask: () => Promise<boolean>): Promise<void> {
  const tooLate = performance.now() + READY_TIMEOUT_MS;
  while (!(await Promise.race([process.died, ask().catch(() => false)]))) {
    if (performance.now() > tooLate) throw new Error(`A server was not ready within ${READY_TIMEOUT_MS / 1000} s`);
    await delay(POLL_MS);
  }
}

/** An unused port. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
