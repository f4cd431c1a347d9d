/** A child process of this process, connected by pipes: for a daemon without a monitor, and for tools. */
import type { EngineCommand } from "../engine/ipc/command.ts";
import {
  exitWithin,
  type JsonProcess,
  type ProcessExit,
  type ProcessListener,
  readMessages,
  readStderr,
  signalChild,
  toLine,
} from "./process.ts";

export class PipedProcess<In, Out> implements JsonProcess<Out> {
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  #killedFor: string | undefined;

  /** @throws {Error} If the process cannot be started. */
  constructor(command: EngineCommand, listener: ProcessListener<In>) {
    this.#child = new Deno.Command(command.command, {
      args: [...command.args],
      ...(command.env === undefined ? {} : { env: command.env }),
      clearEnv: command.clearEnv ?? false,
      // A terminal's Ctrl-C goes to the whole process group, but running requests must finish while the daemon drains.
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#child.pid;
    this.#stdin = this.#child.stdin.getWriter();
    // A broken pipe means the process died, which `exited` reports; without this every write and the close would
    // reject.
    this.#stdin.closed.catch(() => {});
    this.exited = this.#watch(listener);
  }

  send(message: Out): void {
    this.#stdin.write(toLine(message)).catch(() => {});
  }

  kill(reason: string): void {
    this.#killedFor ??= reason;
    signalChild(this.#child, "SIGKILL");
  }

  async close(graceMs: number): Promise<void> {
    this.#stdin.close().catch(() => {});
    await exitWithin(this, graceMs);
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

  /** A BYOB reader does not allocate per read. */
  async #readMessages(listener: ProcessListener<In>): Promise<void> {
    const reader = this.#child.stdout.getReader({ mode: "byob" });
    try {
      await readMessages<In>(async (buffer) => {
        const { value, done } = await reader.read(buffer);
        return done ? undefined : value;
      }, (message) => listener.onMessage(message));
    } catch {
      // The invalid line is not quoted: it may be part of an answer.
      this.kill("It said something that is no message");
    }
    // A process that closed its stdout but still runs is useless. Killing one that is exiting has no effect.
    signalChild(this.#child, "SIGKILL");
    await reader.cancel().catch(() => {});
  }
}
