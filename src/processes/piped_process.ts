/** A process that this one starts itself and speaks with on pipes: where no monitor started the daemon, and in tools. */
import type { EngineCommand } from "../engine/ipc/command.ts";
import {
  type JsonProcess,
  type ProcessExit,
  type ProcessListener,
  readMessages,
  readStderr,
  toLine,
} from "./process.ts";

/** One life of it. */
export class PipedProcess<In, Out> implements JsonProcess<Out> {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #killedFor: string | undefined;

  /**
   * Start it.
   *
   * @param command The command line.
   * @param listener Called for everything the process says.
   * @throws {Error} If the process cannot be started.
   */
  constructor(command: EngineCommand, listener: ProcessListener<In>) {
    this.#child = new Deno.Command(command.command, {
      args: [...command.args],
      ...(command.env === undefined ? {} : { env: command.env }),
      clearEnv: command.clearEnv ?? false,
      // A terminal's Ctrl-C goes to every process of its group; what runs is to finish while the daemon drains.
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    // A broken pipe is the process's death, which `exited` tells; every write and the close would reject with it.
    this.#stdin.closed.catch(() => {});
    this.exited = this.#watch(listener);
  }

  send(message: Out): void {
    this.#stdin.write(toLine(message)).catch(() => {});
  }

  kill(reason: string): void {
    this.#killedFor ??= reason;
    this.#kill();
  }

  async close(graceMs: number): Promise<void> {
    this.#stdin.close().catch(() => {});
    const timer = setTimeout(() => this.kill("It did not stop when asked"), graceMs);
    try {
      await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // Gone in this very moment.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #watch(listener: ProcessListener<In>): Promise<ProcessExit> {
    const [status] = await Promise.all([
      this.#child.status,
      this.#readMessages(listener),
      readStderr(this.#child.stderr, (line) => listener.onStderr(line)),
    ]);
    await this.#stdin.abort().catch(() => {});
    return { code: status.code, signal: status.signal, killedFor: this.#killedFor };
  }

  /** A BYOB reader allocates nothing for a read. */
  async #readMessages(listener: ProcessListener<In>): Promise<void> {
    const reader = this.#child.stdout.getReader({ mode: "byob" });
    try {
      await readMessages<In>(async (buffer) => {
        const { value, done } = await reader.read(buffer);
        return done ? undefined : value;
      }, (message) => listener.onMessage(message));
    } catch {
      // What it said is not repeated: it may be a piece of an answer.
      this.kill("It said something that is no message");
    }
    // A process that closed its stdout and still runs is useless. On one that is exiting this has no effect.
    this.#kill();
    await reader.cancel().catch(() => {});
  }
}
