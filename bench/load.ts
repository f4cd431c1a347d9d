/**
 * The load generator, a separate process: a job per line on stdin, a reply per line on stdout. Raw sockets and the same
 * code for every server; protocol differences are in `dialects.ts`. Computes no statistics.
 */
import { delay } from "@std/async/delay";
import { TextLineStream } from "@std/streams/text-line-stream";
import { CostlySender } from "./costly.ts";
import { type Dialect, dialectOf, inferdRequest } from "./dialects.ts";
import { Lines, writeAll } from "./lines.ts";
import type {
  Answer,
  BesideJob,
  BesideResult,
  Ending,
  LoadJob,
  LoadReply,
  NeighbourJob,
  NeighbourResult,
  RefusalJob,
  RefusalResult,
  StreamJob,
  StreamResult,
} from "./load_job.ts";

/** Sends one request at a time, reusing the connection if the server keeps it. */
class Client implements Disposable {
  readonly #dialect: Dialect;
  #connection: Deno.Conn;
  #lines: Lines;
  #used = false;

  private constructor(dialect: Dialect, connection: Deno.Conn) {
    this.#dialect = dialect;
    this.#connection = connection;
    this.#lines = new Lines(connection);
  }

  static async connect(job: StreamJob): Promise<Client> {
    const dialect = dialectOf(job);
    return new Client(dialect, await dialect.connect());
  }

  /**
   * @param prompt The prompt.
   * @param onText Called for every piece of text on arrival.
   */
  async ask(prompt: string, onText: (ms: number) => void = () => {}): Promise<Answer> {
    if (this.#used && !this.#dialect.keepsConnections) await this.#reconnect();
    this.#used = true;
    const start = performance.now();
    await writeAll(this.#connection, this.#dialect.request(prompt));
    let first = 0;
    let pieces = 0;
    let ending: Ending | undefined;
    await this.#lines.until((line) => {
      if (this.#dialect.isText(line)) {
        const now = performance.now();
        if (pieces++ === 0) first = now;
        onText(now);
        return false;
      }
      ending = this.#dialect.other(line);
      return ending !== undefined;
    });
    const totalMs = performance.now() - start;
    if (ending === undefined || pieces === 0) throw new Error("The answer has no text");
    return { ...ending, pieces, firstMs: first - start, totalMs };
  }

  async #reconnect(): Promise<void> {
    this.#connection.close();
    this.#connection = await this.#dialect.connect();
    this.#lines = new Lines(this.#connection);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

async function stream(job: StreamJob): Promise<StreamResult> {
  using open = new DisposableStack();
  const clients = await Promise.all(job.prompts.map(async () => open.use(await Client.connect(job))));
  const start = performance.now();
  const answers = await Promise.all(clients.map(async (client, index) => {
    const mine: Answer[] = [];
    for (const prompt of job.prompts[index] ?? []) mine.push(await client.ask(prompt));
    return mine;
  }));
  return { wallMs: performance.now() - start, answers: answers.flat() };
}

/** Pieces of the stream before the other prompt is sent, so that the stream is running. */
const PIECES_BEFORE = 8;

async function beside(job: BesideJob): Promise<BesideResult> {
  const { target, sampling } = job;
  const client = async (maxTokens: number): Promise<Client> =>
    await Client.connect({ kind: "stream", target, prompts: [], maxTokens, sampling });
  using later = await client(job.maxTokens);
  const pieces: number[] = [];
  const running = Promise.withResolvers<void>();
  const streaming = await client(job.streamTokens);
  const streamed = streaming.ask(job.stream, (ms) => {
    if (pieces.push(ms) === PIECES_BEFORE) running.resolve();
  }).then(() => "whole" as const, (error) => error as Error);
  try {
    const ended = await Promise.race([running.promise, streamed]);
    if (ended !== undefined) throw ended === "whole" ? new Error("The stream was over at once") : ended;
    const sent = performance.now();
    const { firstMs, promptTokens } = await later.ask(job.prompt);
    const until = sent + firstMs;
    const during = pieces.filter((ms) => ms > sent && ms < until);
    if (await Promise.race([streamed, Promise.resolve()]) !== undefined) {
      throw new Error("The stream was over too soon");
    }
    const last = pieces.findLast((ms) => ms <= sent) ?? sent;
    const times = [last, ...during, until];
    return {
      firstMs,
      promptTokens,
      longestGapMs: Math.max(...times.slice(1).map((ms, i) => ms - (times[i] as number))),
      streamTokensPerSec: during.length / firstMs * 1000,
    };
  } finally {
    // Disconnecting cancels.
    streaming[Symbol.dispose]();
    await streamed;
  }
}

async function neighbour(job: NeighbourJob): Promise<NeighbourResult> {
  const { target, sampling, streamTokens } = job;
  const pieces: number[] = [];
  const running = Promise.withResolvers<void>();
  // Not while the stream is measured: one may be 62 MiB.
  using sender = await CostlySender.start(job);
  const streaming = await Client.connect({ kind: "stream", target, prompts: [], maxTokens: streamTokens, sampling });
  const streamed = streaming.ask(job.stream, (ms) => {
    if (pieces.push(ms) === PIECES_BEFORE) running.resolve();
  }).then(() => "whole" as const, (error) => error as Error);
  try {
    const ended = await Promise.race([running.promise, streamed]);
    if (ended !== undefined) throw ended === "whole" ? new Error("The stream was over at once") : ended;
    const begun = performance.now();
    await delay(job.aloneMs);
    const sent = performance.now();
    const endings: string[] = [];
    for (const index of job.lines.keys()) {
      const now = performance.now();
      if (now - sent >= job.mostMs) break;
      const [ending] = await Promise.all([
        sender.ask(index, job.mostMs - (now - sent)),
        delay(job.apartMs),
      ]);
      endings.push(ending);
    }
    const until = performance.now();
    // Before and after: it slows down as it gets longer.
    await delay(job.aloneMs);
    const last = performance.now();
    if (await Promise.race([streamed, Promise.resolve()]) !== undefined) {
      throw new Error("The stream was over too soon");
    }
    const alone = pieces.filter((ms) => ms > begun && ms <= last && (ms <= sent || ms > until));
    const during = pieces.filter((ms) => ms > sent && ms <= until);
    const times = [pieces.findLast((ms) => ms <= sent) ?? sent, ...during, until];
    return {
      aloneTokensPerSec: alone.length / (sent - begun + last - until) * 1000,
      besideTokensPerSec: during.length / (until - sent) * 1000,
      longestGapMs: Math.max(...times.slice(1).map((ms, i) => ms - (times[i] as number))),
      endings,
    };
  } finally {
    streaming[Symbol.dispose]();
    await streamed;
  }
}

async function refusals(job: RefusalJob): Promise<RefusalResult> {
  using connection = await Deno.connect({ transport: "unix", path: job.path });
  const lines = new Lines(connection);
  const request = inferdRequest("May I?");
  const latenciesMs: number[] = [];
  for (let left = job.count; left > 0; left--) {
    const start = performance.now();
    await writeAll(connection, request);
    await lines.until((line) => {
      if (!line.includes('"code":"queue_full"')) throw new Error(`Not refused: ${line.slice(0, 200)}`);
      return true;
    });
    latenciesMs.push(performance.now() - start);
    await delay(job.gapMs);
  }
  return { latenciesMs };
}

async function run(job: LoadJob): Promise<StreamResult | BesideResult | NeighbourResult | RefusalResult> {
  switch (job.kind) {
    case "stream":
      return await stream(job);
    case "beside":
      return await beside(job);
    case "neighbour":
      return await neighbour(job);
    case "refusal":
      return await refusals(job);
  }
}

async function reply(line: string): Promise<LoadReply> {
  try {
    const job: LoadJob = JSON.parse(line);
    return { result: await run(job) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

if (import.meta.main) {
  const jobs = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const job of jobs) console.log(JSON.stringify(await reply(job)));
}
