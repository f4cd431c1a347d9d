/** Running a command on a terminal of its own. */
import { MAIN, Output, type Sandbox } from "./program.ts";

/** What the program is started with. */
export interface TerminalOptions {
  /** How wide the terminal is. */
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The program on a terminal of its own; see `hasTerminal`. */
export class Terminal implements AsyncDisposable {
  /** What the program writes, escape sequences and all. */
  readonly screen: Output;
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #ended = false;

  /** Start the program with arguments that need no quotes. */
  constructor(box: Sandbox, args: readonly string[], { columns = 80, env = {} }: TerminalOptions = {}) {
    const program = [Deno.execPath(), "run", "--no-check", "-A", MAIN, ...args].join(" ");
    this.#child = new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", `stty cols ${columns} rows 24; exec ${program}`, "/dev/null"],
      env: { ...box.env, TERM: "xterm", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.screen = new Output(this.#child.stdout);
    this.#keys = this.#child.stdin.getWriter();
  }

  /** Press keys. */
  press(keys: string): Promise<void> {
    return this.#keys.write(new TextEncoder().encode(keys));
  }

  /** Resolves with the exit code. */
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    this.#ended = true;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#keys.close().catch(() => {});
    await this.screen.all;
  }
}

/** Whether the `script` of util-linux is there, which runs a command on a terminal of its own. */
export async function hasTerminal(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("script", { args: ["--version"], stdout: "piped" }).output();
    return new TextDecoder().decode(stdout).includes("util-linux");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
