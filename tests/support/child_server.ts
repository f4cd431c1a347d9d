/** Starts `serving_process.ts` and looks at its memory. Linux only, because of `/proc`. */
import { TextLineStream } from "@std/streams/text-line-stream";
import { kibOf } from "./processes.ts";
import { WireClient } from "./wire_client.ts";

/** A server in another process. */
export class ChildServer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #socketPath: string;
  #stopped = false;

  private constructor(parts: {
    readonly child: Deno.ChildProcess;
    readonly lines: ReadableStreamDefaultReader<string>;
    readonly socketPath: string;
  }) {
    this.#child = parts.child;
    this.#lines = parts.lines;
    this.#socketPath = parts.socketPath;
  }

  /** Start it; resolves when it can be connected to. */
  static async start(): Promise<ChildServer> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("./serving_process.ts", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
    const { value } = await lines.read();
    if (value === undefined) throw new Error("The serving process ended before it listened");
    return new ChildServer({ child, lines, socketPath: value });
  }

  /** Connect to its unix socket. */
  connect(): Promise<WireClient> {
    return WireClient.connect(this.#socketPath);
  }

  /** The most memory it has ever had resident, in bytes. */
  peakBytes(): number {
    return kibOf(this.#child.pid, "VmHWM") * 1024;
  }

  /** The memory it has resident now, in bytes. */
  residentBytes(): number {
    return kibOf(this.#child.pid) * 1024;
  }

  /** Stop it; more than once does no harm. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#child.stdin.close();
    while (!(await this.#lines.read()).done);
    await this.#child.status;
  }
}
