/** Processes started by the benchmark, and their resource usage. Stops exactly those it started. Knows no protocol. */
import { deadline } from "@std/async/deadline";
import { TextLineStream } from "@std/streams/text-line-stream";

const STOP_TIMEOUT_MS = 20_000;
const STDERR_TAIL = 4_000;
/** Clock tick of `/proc`: a hundredth of a second on every Linux. */
const CLOCK_TICK_MS = 10;

const running = new Set<Deno.ChildProcess>();
let stopping = false;

/**
 * Start a program that {@linkcode stopAll} will stop.
 *
 * @param program The program.
 * @param options As for `Deno.Command`.
 * @returns The process.
 */
export function spawn(program: string, options: Deno.CommandOptions): Deno.ChildProcess {
  if (stopping) throw new Error("Interrupted");
  const child = new Deno.Command(program, options).spawn();
  running.add(child);
  void child.status.then(() => running.delete(child));
  return child;
}

/** Stop all started processes and start no more. Waiting for one of them then fails. */
export function stopAll(): void {
  stopping = true;
  for (const child of running) terminate(child, "SIGTERM");
}

/**
 * Whether {@linkcode stopAll} was called.
 *
 * @returns True from then on.
 */
export function isStopping(): boolean {
  return stopping;
}

function terminate(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has exited meanwhile.
  }
}

/** A started process. */
export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #name: string;
  readonly #stderr: Promise<void>;
  #tail = "";
  #ended = false;
  /** Rejects when the process exits by itself; never resolves. */
  readonly died: Promise<never>;
  /** Its stdout, line by line. */
  readonly lines: ReadableStream<string>;

  constructor(name: string, command: string, options: Omit<Deno.CommandOptions, "stdout" | "stderr">) {
    this.#name = name;
    this.#child = spawn(command, { stdin: "null", ...options, stdout: "piped", stderr: "piped" });
    this.lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    this.#stderr = this.#readStderr();
    this.died = this.#child.status.then(async ({ code }) => {
      this.#ended = true;
      await this.#stderr;
      throw new Error(`${this.#name} ended with ${code}: ${this.#tail.trim() || "it said nothing"}`);
    });
    // It may be stopped while nobody awaits this.
    this.died.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid;
  }

  get stdin(): WritableStream<Uint8Array> {
    return this.#child.stdin;
  }

  async #readStderr(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#tail = (this.#tail + text).slice(-STDERR_TAIL);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) terminate(this.#child, "SIGTERM");
    const end = this.#child.status;
    await deadline(end, STOP_TIMEOUT_MS).catch(() => terminate(this.#child, "SIGKILL"));
    await end;
    await this.#stderr;
    if (!this.lines.locked) await this.lines.cancel();
  }
}

/**
 * CPU time of a process: all threads, user and system.
 *
 * @param pid The process.
 * @returns Milliseconds.
 */
export async function cpuMs(pid: number): Promise<number> {
  const fields = await statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
}

/**
 * When a process was started, to a hundredth of a second.
 *
 * @param pid The process.
 * @returns Milliseconds since the machine was started.
 */
export async function startedMs(pid: number): Promise<number> {
  return Number((await statFields(pid))[19]) * CLOCK_TICK_MS;
}

/**
 * Idle time of all processors together, in milliseconds; `undefined` where the system does not tell.
 */
export function idleMs(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const [total = ""] = Deno.readTextFileSync("/proc/stat").split("\n");
  return Number(total.trim().split(/\s+/)[4]) * CLOCK_TICK_MS;
}

/**
 * Resident memory of a process.
 *
 * @param pid The process.
 * @returns The size in bytes.
 */
export async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/**
 * A process and its running descendants.
 *
 * @param pid The process.
 * @returns Process ids, the process itself first.
 */
export async function processTree(pid: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = await statFields(Number(name)).then((fields) => Number(fields[1]), () => undefined);
    if (parent !== undefined) parents.set(Number(name), parent);
  }
  const tree = [pid];
  for (const known of tree) {
    for (const [child, parent] of parents) if (parent === known) tree.push(child);
  }
  return tree;
}

/** The fields after the name in `/proc/PID/stat`, the state first. */
async function statFields(pid: number): Promise<string[]> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
