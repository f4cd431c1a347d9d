/** Client of the load generator process. */
import { join } from "@std/path";
import { Process } from "./processes.ts";
import type {
  BesideJob,
  BesideResult,
  LoadJob,
  LoadReply,
  NeighbourJob,
  NeighbourResult,
  RefusalJob,
  RefusalResult,
  StreamJob,
  StreamResult,
} from "./load_job.ts";

/** A load generator process. Runs one job at a time. */
export class LoadGenerator implements AsyncDisposable {
  readonly #process: Process;
  readonly #jobs: WritableStreamDefaultWriter<Uint8Array>;
  readonly #replies: ReadableStreamDefaultReader<string>;

  constructor() {
    this.#process = new Process("load generator", Deno.execPath(), {
      args: ["run", "-A", join(import.meta.dirname ?? ".", "load.ts")],
      stdin: "piped",
    });
    this.#jobs = this.#process.stdin.getWriter();
    this.#replies = this.#process.lines.getReader();
  }

  run(job: StreamJob): Promise<StreamResult>;
  run(job: BesideJob): Promise<BesideResult>;
  run(job: NeighbourJob): Promise<NeighbourResult>;
  run(job: RefusalJob): Promise<RefusalResult>;
  async run(job: LoadJob): Promise<StreamResult | BesideResult | NeighbourResult | RefusalResult> {
    await this.#jobs.write(new TextEncoder().encode(JSON.stringify(job) + "\n"));
    const { value } = await Promise.race([this.#replies.read(), this.#process.died]);
    const reply: LoadReply = JSON.parse(value ?? '{"failed":"The load generator ended"}');
    if ("failed" in reply) throw new Error(`The load generator failed: ${reply.failed}`);
    return reply.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#jobs.close().catch(() => {});
    await this.#replies.cancel();
    await this.#process[Symbol.asyncDispose]();
  }
}
