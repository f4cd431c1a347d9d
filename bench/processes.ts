/**
 * The processes the benchmark starts, and what the system says of them. Whatever is started here is stopped here, and
 * nothing else is touched. Knows no protocol.
 */
import { deadline } from "@std/async/deadline";
import { TextLineStream } from "@std/streams/text-line-stream";

const STOP_TIMEOUT_MS = 20_000;
const STDERR_TAIL = 4_000;
/** What `/proc` counts processor time in: a hundredth of a second on every Linux. */
const CLOCK_TICK_MS = 10;

/** A process of ours. */
export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #name: string;
  readonly #stderr: Promise<void>;
  #tail = "";
  #ended = false;
  /** Rejects when the process ends by itself; never resolves. */
  readonly died: Promise<never>;
  /** What it prints, line by line. */
  readonly lines: ReadableStream<string>;

  constructor(name: string, command: string, options: Omit<Deno.CommandOptions, "stdout" | "stderr">) {
    this.#name = name;
    this.#child = new Deno.Command(command, { stdin: "null", ...options, stdout: "piped", stderr: "piped" }).spawn();
    this.lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    this.#stderr = this.#readStderr();
    this.died = this.#child.status.then(async ({ code }) => {
      this.#ended = true;
      await this.#stderr;
      throw new Error(`${this.#name} ended with ${code}: ${this.#tail.trim() || "it said nothing"}`);
    });
    // It may be stopped while nobody waits for it.
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

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended in the meantime.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#signal("SIGTERM");
    const end = this.#child.status;
    await deadline(end, STOP_TIMEOUT_MS).catch(() => this.#signal("SIGKILL"));
    await end;
    await this.#stderr;
    if (!this.lines.locked) await this.lines.cancel();
  }
}

/**
 * Processor time a process has used, all threads, user and system.
 *
 * @param pid The process.
 * @returns Milliseconds.
 */
export async function cpuMs(pid: number): Promise<number> {
  const fields = await statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
}

/**
 * Resident memory of a process.
 *
 * @param pid The process.
 * @returns Bytes.
 */
export async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/**
 * A process and everything it has started that still runs.
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

/** What follows the name in `/proc/PID/stat`, the state first. */
async function statFields(pid: number): Promise<string[]> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
