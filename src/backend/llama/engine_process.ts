/**
 * One life of a process that speaks in lines of JSON, an engine above all: start, lines in both directions, end.
 * Restarting, requests and what the messages mean are `llama.ts`'s.
 */
import type { EngineCommand } from "../../engine/ipc/command.ts";
import type { FromEngine, ToEngine } from "../../engine/ipc/messages.ts";
import { LineAssembler, splitLines } from "../../ndjson/line_assembler.ts";

/** A longer line of the engine's stderr is cut, in UTF-16 units. */
const MOST_STDERR_CHARS = 2048;
/** A step for all slots fits many times; a longer read only means one more round. */
const READ_BYTES = 64 * 1024;

/** Who listens to an engine. */
export interface EngineListener<In = FromEngine> {
  onMessage(message: In): void;
  /** A line of what native code and runtime print. */
  onStderr(line: string): void;
}

/** How an engine ended. */
export interface EngineExit {
  readonly code: number;
  readonly signal: string | null;
  /** Why it was killed, if this side did it. */
  readonly killedFor: string | undefined;
}

/** A running engine process, or another one that speaks so. */
export class EngineProcess<In = FromEngine, Out = ToEngine> {
  readonly pid: number;
  /** Resolves when the process is gone and everything it said has been delivered. Never rejects. */
  readonly exited: Promise<EngineExit>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #killedFor: string | undefined;

  /**
   * Start it.
   *
   * @param command The command line.
   * @param listener Called for everything the engine says.
   * @throws {Error} If the process cannot be started.
   */
  constructor(command: EngineCommand, listener: EngineListener<In>) {
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
    // A broken pipe is the engine's death, which `exited` tells; every write and the close would reject with it.
    this.#stdin.closed.catch(() => {});
    this.exited = this.#watch(listener);
  }

  /** Say something; lost without notice when the engine is gone. */
  send(message: Out): void {
    this.#stdin.write(this.#encoder.encode(JSON.stringify(message) + "\n")).catch(() => {});
  }

  /** End it at once. */
  kill(reason: string): void {
    this.#killedFor ??= reason;
    this.#kill();
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // Gone in this very moment.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /**
   * Ask it to leave, and kill it when it does not.
   *
   * @param graceMs How long it may take.
   */
  async close(graceMs: number): Promise<void> {
    this.#stdin.close().catch(() => {});
    const timer = setTimeout(() => this.kill("It did not stop when asked"), graceMs);
    try {
      await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async #watch(listener: EngineListener<In>): Promise<EngineExit> {
    const [status] = await Promise.all([
      this.#child.status,
      this.#readMessages(listener),
      this.#readStderr(listener),
    ]);
    await this.#stdin.abort().catch(() => {});
    return { code: status.code, signal: status.signal, killedFor: this.#killedFor };
  }

  /** The hot path: one read a step. A BYOB reader allocates nothing for it. */
  async #readMessages(listener: EngineListener<In>): Promise<void> {
    const reader = this.#child.stdout.getReader({ mode: "byob" });
    const assembler = new LineAssembler(Infinity, READ_BYTES);
    let buffer = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const { value, done } = await reader.read(buffer);
        if (done) break;
        for (const line of splitLines(assembler.push(value))) listener.onMessage(JSON.parse(line) as In);
        if (assembler.violation !== undefined) throw new TypeError("Not UTF-8");
        buffer = new Uint8Array(value.buffer);
      }
    } catch {
      // One lost message would leave a request waiting forever: an engine that sends nonsense counts as dead. What it
      // said is not repeated: it may be a piece of an answer.
      this.kill("It said something that is no message");
    }
    // An engine that closed its stdout and still runs is useless. On one that is exiting this has no effect.
    this.#kill();
    await reader.cancel().catch(() => {});
  }

  async #readStderr(listener: EngineListener<In>): Promise<void> {
    const reader = this.#child.stderr.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = (lines.pop() ?? "").slice(0, MOST_STDERR_CHARS);
        for (const line of lines) listener.onStderr(line.slice(0, MOST_STDERR_CHARS));
      }
    } catch {
      // The pipe broke: nothing more will come.
    }
    if (rest !== "") listener.onStderr(rest);
  }
}
