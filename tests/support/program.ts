/** The program as a user starts it: `main.ts` in a process of its own, with folders of its own. */
import { type Admin, admin } from "@inferd/client";
import { eventually } from "./waiting.ts";

/** The program. */
export const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** Runs the HTTP bridge, which may not read the program's files. */
export const HTTP_MAIN = new URL("../../src/cli/http_main.ts", import.meta.url).pathname;

let knownDenoDir: string | undefined;

/** Where Deno keeps what it has fetched: it must not move with `HOME`. */
export function denoDir(): string {
  if (knownDenoDir === undefined) {
    const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
    knownDenoDir = String(JSON.parse(new TextDecoder().decode(stdout)).denoDir);
  }
  return knownDenoDir;
}

/** What a process left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to start it. */
export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: all permissions. */
  readonly permissions?: readonly string[];
  readonly stdin?: string;
  /** Default: `main.ts`. */
  readonly program?: string;
  /** Nothing in its environment but `env`. */
  readonly bare?: boolean;
  /** Default: that of the tests. */
  readonly cwd?: string;
  /** Run by a shell that becomes the program with `exec "$@"`, such as `exec "$@" 2> /dev/full`. */
  readonly shell?: string;
}

/** A folder with everything the program writes, and the program in it. */
export class Sandbox implements AsyncDisposable {
  readonly dir: string;
  readonly runtimeDir: string;
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    this.dir = Deno.makeTempDirSync({ prefix: "inferd-" });
    this.runtimeDir = `${this.dir}/inferd`;
    // A home of its own: whoever runs the tests may have a configuration file.
    this.env = {
      HOME: this.dir,
      DENO_DIR: denoDir(),
      // Deno's own look for a newer Deno, which goes through whatever proxy a test names.
      DENO_NO_UPDATE_CHECK: "1",
      XDG_RUNTIME_DIR: this.dir,
      INFERD_LOG_DIR: `${this.dir}/logs`,
      NO_COLOR: "1",
      // However the tests were started.
      INFERD_CALLED_AS: "inferd",
    };
  }

  /** The admin socket of the daemon that runs here. */
  get admin(): Admin {
    return admin({ path: `${this.runtimeDir}/admin.sock` });
  }

  /** Start the program. */
  spawn(args: readonly string[], options: ProgramOptions = {}): Program {
    const { permissions = ["-A"], env = {}, stdin, bare = false, cwd, program = MAIN, shell } = options;
    const words = [Deno.execPath(), "run", "--no-check", ...permissions, program, ...args];
    const child = new Deno.Command(shell === undefined ? Deno.execPath() : "sh", {
      args: shell === undefined ? words.slice(1) : ["-c", shell, "sh", ...words],
      env: bare ? { DENO_DIR: denoDir(), NO_COLOR: "1", ...env } : { ...this.env, ...env },
      clearEnv: bare,
      ...(cwd === undefined ? {} : { cwd }),
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Program(child, stdin);
  }

  /** Run the program to its end. */
  run(args: readonly string[], options: ProgramOptions = {}): Promise<Outcome> {
    return this.spawn(args, options).outcome;
  }

  /** Start a daemon and wait until it is ready. */
  async serve(args: readonly string[], options: ProgramOptions = {}): Promise<Program> {
    const program = this.spawn(["serve", ...args], options);
    const ended = program.outcome.then(({ stderr }) => {
      throw new Error(`The daemon ended before it was ready: ${stderr}`);
    });
    await Promise.race([this.admin.ready(), ended]);
    ended.catch(() => {});
    return program;
  }

  /** Write the configuration file of the user whose home this is. */
  configure(config: unknown): void {
    Deno.mkdirSync(`${this.dir}/.inferd`, { recursive: true });
    const text = typeof config === "string" ? config : JSON.stringify(config);
    Deno.writeTextFileSync(`${this.dir}/.inferd/config.json`, text);
  }

  /** The permissions that `serve` needs, as it says itself. */
  async exactPermissions(options: ProgramOptions = {}): Promise<string[]> {
    return (await this.run(["permissions", "serve"], options)).stdout.trim().split(" ");
  }

  /** Resolves when no daemon runs here any more: it has its lock as long as it lives. */
  async untilUnlocked(): Promise<void> {
    using lock = await Deno.open(`${this.runtimeDir}/inferd.lock`, { read: true, write: true });
    await lock.lock(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A running program. Disposal kills it where it has not ended. */
export class Program implements AsyncDisposable {
  readonly outcome: Promise<Outcome>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly #child: Deno.ChildProcess;
  #ended = false;

  constructor(child: Deno.ChildProcess, stdin: string | undefined) {
    this.#child = child;
    this.stdout = new Output(child.stdout);
    this.stderr = new Output(child.stderr);
    this.outcome = this.#collect(stdin);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The daemon's own process, which `serve` starts. */
  get daemonPid(): number {
    return this.childRunning("/src/cli/daemon_main.ts");
  }

  /** Resolves as soon as the daemon's process is there. */
  async hasStartedDaemon(): Promise<void> {
    await eventually("the daemon's process", () => this.daemonPid > 0, { everyMs: 0 });
  }

  /** The process of the only engine, which `serve` starts for the daemon. */
  get enginePid(): number {
    return this.childRunning("/src/engine/main.ts");
  }

  /** A process that `serve` has started, by its module. */
  childRunning(module: string): number {
    const { stdout } = new Deno.Command("pgrep", { args: ["-P", String(this.pid), "-f", module] }).outputSync();
    return Number(new TextDecoder().decode(stdout).trim());
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Have it end, unless it has ended already, and wait for it. */
  end(signal: Deno.Signal = "SIGTERM"): Promise<Outcome> {
    try {
      if (!this.#ended) this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has exited, and its output is being read.
    }
    return this.outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  async #collect(stdin: string | undefined): Promise<Outcome> {
    if (stdin !== undefined) {
      const writer = this.#child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
    }
    const status = this.#child.status.finally(() => this.#ended = true);
    const [{ code }, stdout, stderr] = await Promise.all([status, this.stdout.all, this.stderr.all]);
    return { code, stdout, stderr };
  }
}

/** What a program prints, as it comes. */
export class Output {
  /** Everything, at its end. */
  readonly all: Promise<string>;
  readonly #waiting = new Set<() => void>();
  #text = "";

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.all = this.#collect(stream);
  }

  /** Resolves when `text` has been printed. */
  async has(text: string): Promise<void> {
    await this.#until(() => this.#text.includes(text) ? text : undefined);
  }

  /** Resolves with the first match once it has been printed. */
  match(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.#text) ?? undefined);
  }

  #until<Found>(find: () => Found | undefined): Promise<Found> {
    const { promise, resolve } = Promise.withResolvers<Found>();
    const look = (): void => {
      const found = find();
      if (found === undefined) return;
      this.#waiting.delete(look);
      resolve(found);
    };
    this.#waiting.add(look);
    look();
    return promise;
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#text += text;
      for (const look of this.#waiting) look();
    }
    return this.#text;
  }
}
