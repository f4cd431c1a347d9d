/** The daemon's side of the link to its monitor, which starts and kills processes on its behalf. */
import { LineAssembler, splitLines } from "../ndjson/line_assembler.ts";
import type { ChildKind, Order, Report } from "./orders.ts";

/** How a child process of the monitor ended. */
export interface ChildExit {
  readonly code: number;
  readonly signal: string | null;
  /** Set if it could not be started; has the system's error `code` if known. */
  readonly notStarted?: Error;
}

/** A process the monitor was told to start. */
export interface Child {
  readonly number: number;
  /** Resolves with the process id; never resolves if the process cannot be started. */
  readonly started: Promise<number>;
  /** Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Close its stdin and send it SIGTERM. */
  end(): void;
  kill(): void;
}

export interface LinkPipes {
  readonly input: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Synchronous: orders are a few bytes, and the monitor always reads. */
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => number;
}

interface Running {
  readonly started: PromiseWithResolvers<number>;
  readonly exited: PromiseWithResolvers<ChildExit>;
  readonly onStderr: (line: string) => void;
}

export class MonitorLink {
  /** Resolves when the monitor is gone. */
  readonly gone: Promise<void>;
  readonly #write: LinkPipes["write"];
  readonly #running = new Map<number, Running>();
  #lastNumber = 0;

  constructor({ input, write }: LinkPipes) {
    this.#write = write;
    this.gone = this.#listen(input);
  }

  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /** Start a process, with a number from {@linkcode nextNumber}. */
  start(kind: ChildKind, number: number, onStderr: (line: string) => void): Child {
    const running: Running = { started: Promise.withResolvers(), exited: Promise.withResolvers(), onStderr };
    this.#running.set(number, running);
    this.#tell({ word: kind, number });
    return {
      number,
      started: running.started.promise,
      exited: running.exited.promise,
      end: () => this.#tellIfRunning("end", number),
      kill: () => this.#tellIfRunning("kill", number),
    };
  }

  #tellIfRunning(word: "end" | "kill", number: number): void {
    if (this.#running.has(number)) this.#tell({ word, number });
  }

  #tell({ word, number }: Order): void {
    let bytes = new TextEncoder().encode(`${word} ${number}\n`);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#write(bytes));
    } catch (error) {
      // The monitor is gone, which `gone` reports.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  async #listen(input: LinkPipes["input"]): Promise<void> {
    const assembler = new LineAssembler(Infinity);
    try {
      for await (const bytes of input) {
        for (const line of splitLines(assembler.push(bytes))) this.#hear(JSON.parse(line) as Report);
      }
    } catch {
      // A monitor whose reports cannot be parsed is treated as gone.
    }
    for (const { exited } of this.#running.values()) exited.resolve({ code: 1, signal: null });
    this.#running.clear();
  }

  #hear(report: Report): void {
    const running = this.#running.get(report.number);
    if (running === undefined) return;
    if ("pid" in report) return running.started.resolve(report.pid);
    if ("stderr" in report) return running.onStderr(report.stderr);
    this.#running.delete(report.number);
    if ("code" in report) return running.exited.resolve({ code: report.code, signal: report.signal });
    const { failure, error } = report;
    const notStarted = Object.assign(new Error(failure), error === undefined ? {} : { code: error });
    running.exited.resolve({ code: 1, signal: null, notStarted });
  }
}
