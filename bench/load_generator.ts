/** Client of the load generator process. */
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { idleMs, Process } from "./processes.ts";
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

/** The machine is idle when its processors were, for this share of so many milliseconds. */
const IDLE_SHARE = 0.9;
const LOOK_MS = 200;
/** Then it is measured anyway, by default. */
const MOST_LOOKS = 40;

/** A load generator process. Runs one job at a time, once the machine is idle. */
export class LoadGenerator implements AsyncDisposable {
  readonly #process: Process;
  readonly #jobs: WritableStreamDefaultWriter<Uint8Array>;
  readonly #replies: ReadableStreamDefaultReader<string>;

  readonly #mostLooks: number;

  /**
   * @param options.mostLooks How often it is looked whether the machine is idle, {@linkcode LOOK_MS} apart, before it is
   * measured anyway.
   */
  constructor({ mostLooks = MOST_LOOKS }: { readonly mostLooks?: number } = {}) {
    this.#mostLooks = mostLooks;
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
    await idle(this.#mostLooks);
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

/** Wait for servers that go on after their last answer, e.g. with the next turn: the other one would be slowed down. */
async function idle(mostLooks: number): Promise<void> {
  for (let looks = 0; looks < mostLooks; looks++) {
    const before = idleMs();
    if (before === undefined) return;
    await delay(LOOK_MS);
    if ((idleMs() ?? 0) - before >= IDLE_SHARE * LOOK_MS * navigator.hardwareConcurrency) return;
  }
}
