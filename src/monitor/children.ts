/**
 * Starts and kills the daemon's child processes on orders of one word and one number. The commands are fixed before the
 * daemon runs.
 */
import { type ChildKind, MOST_ORDER_BYTES, parseOrder, type Report } from "../processes/orders.ts";
import { readStderr, signalChild } from "../processes/process.ts";
import { LineAssembler, splitLines } from "../ndjson/line_assembler.ts";
import { errorText } from "../log/error_text.ts";

/** Command of a child process. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The process number is passed as the last argument. */
  readonly isNumbered: boolean;
  /** Where output goes. `daemon`: stderr lines are reported to the daemon. `own`: stdout and stderr are inherited. */
  readonly prints: "daemon" | "own";
}

/** The fixed commands; a kind that is absent cannot be started. */
export type ChildCommands = Readonly<Partial<Record<ChildKind, ChildCommand>>>;

/** A daemon that asks for more children at a time is compromised or broken. */
const MOST_CHILDREN = 256;

/** The daemon sent something other than an order. */
export class OrderError extends Error {
  override readonly name = "OrderError";
}

interface Running {
  readonly child: Deno.ChildProcess;
  readonly prints: ChildCommand["prints"];
}

export class Children {
  readonly #commands: ChildCommands;
  readonly #tell: (report: Report) => Promise<void>;
  readonly #running = new Map<number, Running>();
  readonly #ends = new Set<Promise<void>>();

  /** @param tell Sends a report to the daemon; never rejects. */
  constructor(commands: ChildCommands, tell: (report: Report) => Promise<void>) {
    this.#commands = commands;
    this.#tell = tell;
  }

  /** @throws {OrderError} If a line is not an order. */
  async obey(input: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const assembler = new LineAssembler(MOST_ORDER_BYTES);
    for await (const bytes of input) {
      for (const line of splitLines(assembler.push(bytes))) this.#do(line);
      if (assembler.violation !== undefined) throw new OrderError("The daemon sent something other than an order");
    }
  }

  /** Kill all children and wait for them to exit. */
  async killAll(): Promise<void> {
    for (const { child } of this.#running.values()) signalChild(child, "SIGKILL");
    await Promise.all(this.#ends);
  }

  #do(line: string): void {
    const order = parseOrder(line);
    if (order === undefined) throw new OrderError("The daemon sent something other than an order");
    const { word, number } = order;
    const running = this.#running.get(number);
    if (word === "kill" || word === "end") {
      // It may have exited before the order arrived.
      if (running === undefined) return;
      signalChild(running.child, word === "kill" ? "SIGKILL" : "SIGTERM");
      if (word === "end") void closeInput(running);
      return;
    }
    if (running !== undefined || this.#running.size >= MOST_CHILDREN) {
      throw new OrderError(`The daemon ordered ${word} ${number}, with ${this.#running.size} processes running`);
    }
    this.#start(word, number);
  }

  #start(kind: ChildKind, number: number): void {
    const command = this.#commands[kind];
    if (command === undefined) {
      void this.#tell({ number, failure: `This daemon was started without "${kind}"` });
      return;
    }
    const { args, env, isNumbered, prints } = command;
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(command.command, {
        args: [...args, ...isNumbered ? [String(number)] : []],
        env: { ...env },
        clearEnv: true,
        // A terminal's Ctrl-C goes to the whole process group, but running requests must finish while the daemon
        // drains.
        detached: true,
        // EOF on stdin tells the child that this process is gone.
        stdin: prints === "own" ? "piped" : "null",
        stdout: prints === "own" ? "inherit" : "null",
        stderr: prints === "own" ? "inherit" : "piped",
      }).spawn();
    } catch (error) {
      const failure = errorText(error);
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      void this.#tell({ number, failure, ...(code === undefined ? {} : { error: code }) });
      return;
    }
    const running = { child, prints };
    this.#running.set(number, running);
    const ended = this.#watch(running, number).finally(() => this.#ends.delete(ended));
    this.#ends.add(ended);
  }

  async #watch(running: Running, number: number): Promise<void> {
    const { child, prints } = running;
    void this.#tell({ number, pid: child.pid });
    const printed = prints === "own"
      ? undefined
      : readStderr(child.stderr, (line) => this.#tell({ number, stderr: line }));
    const { code, signal } = await child.status;
    this.#running.delete(number);
    await closeInput(running);
    await printed;
    void this.#tell({ number, code, signal });
  }
}

async function closeInput({ child, prints }: Running): Promise<void> {
  if (prints === "own") await child.stdin.close().catch(() => {});
}
