/**
 * The daemon alone, with a backend that answers immediately: cost of a token from backend to socket, latency of a
 * refusal under load, cost of an idle connection.
 */
import { delay } from "@std/async/delay";
import type { MockScript } from "../src/config/options.ts";
import { LoadGenerator } from "./load_generator.ts";
import type { StreamJob } from "./load_job.ts";
import { cpuMs, residentBytes } from "./processes.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { median, percentile, type Row } from "./report.ts";
import { Inferd } from "./servers.ts";

const SECTION = "Pipeline, backend without delay";
const CLIENTS = 8;
const TOKENS_PER_ANSWER = 2000;
const STREAMS_WHILE_REFUSING = 4;
const IDLE_CONNECTIONS = 200;
const MIB = 1024 * 1024;
/** Enough tokens for a stream to outlast any measurement. */
const ENDLESS_TOKENS = 10_000_000;
/** Interval between tokens of a stream at the pace of a fast model. */
const PACE_MS = 2;

/** Options of a section. */
export interface PipelineBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure the pipeline.
 *
 * @param options Duration and tools.
 * @returns The lines of the table.
 */
export async function benchPipeline(options: PipelineBenchOptions): Promise<Row[]> {
  const perToken: number[] = [];
  const perPacedToken: number[] = [];
  const perSecond: number[] = [];
  const idle: number[] = [];
  const refusals: number[] = [];
  const pacedRefusals: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    options.progress.at(round / options.rounds, `Pipeline: round ${round + 1} of ${options.rounds}`);
    perPacedToken.push((await measureTokens(options, PACE_MS)).cpuUs);
    const tokens = await measureTokens(options, 0);
    perToken.push(tokens.cpuUs);
    perSecond.push(tokens.perSecond);
    idle.push(await measureIdleConnections(options.load));
    refusals.push(...await measureRefusals(options, 0));
    pacedRefusals.push(...await measureRefusals(options, PACE_MS));
  }
  return [
    {
      section: SECTION,
      figure: `Daemon's CPU time per token frame, ${CLIENTS} clients`,
      unit: "µs",
      ours: median(perToken),
      goal: { kind: "at-most", value: 30 },
    },
    {
      section: SECTION,
      figure: `The same, at a token every ${PACE_MS} ms for each client`,
      unit: "µs",
      ours: median(perPacedToken),
    },
    { section: SECTION, figure: `Token frames delivered, ${CLIENTS} clients`, unit: "1/s", ours: median(perSecond) },
    {
      section: SECTION,
      figure: `queue_full while ${STREAMS_WHILE_REFUSING} streams run, p99`,
      unit: "ms",
      ours: percentile(refusals, 0.99),
      goal: { kind: "at-most", value: 2 },
    },
    {
      section: SECTION,
      figure: `queue_full while ${STREAMS_WHILE_REFUSING} streams run, p50`,
      unit: "ms",
      ours: percentile(refusals, 0.5),
    },
    {
      section: SECTION,
      figure: `The same, p99, at a token every ${PACE_MS} ms for each stream`,
      unit: "ms",
      ours: percentile(pacedRefusals, 0.99),
    },
    {
      section: SECTION,
      figure: `Resident memory of ${IDLE_CONNECTIONS} idle connections`,
      unit: "MiB",
      ours: median(idle),
      goal: { kind: "at-most", value: 20 },
    },
  ];
}

async function measureTokens(
  { load, quick }: PipelineBenchOptions,
  delayMs: number,
): Promise<{ cpuUs: number; perSecond: number }> {
  const script = { count: TOKENS_PER_ANSWER, delayMs };
  await using daemon = await startMock(script, { parallel: CLIENTS, queueDepth: CLIENTS });
  const answers = delayMs > 0 ? 1 : quick ? 4 : 10;
  const job = streams(daemon, { clients: CLIENTS, answers, maxTokens: TOKENS_PER_ANSWER });
  await load.run({ ...job, prompts: job.prompts.map(() => ["warm"]) });
  const pid = await daemon.pid();
  const before = await cpuMs(pid);
  const { answers: all, wallMs } = await load.run(job);
  const used = await cpuMs(pid) - before;
  const frames = all.reduce((sum, { pieces }) => sum + pieces, 0);
  return { cpuUs: used * 1000 / frames, perSecond: frames / wallMs * 1000 };
}

async function measureRefusals({ load, quick }: PipelineBenchOptions, delayMs: number): Promise<number[]> {
  const script = { count: ENDLESS_TOKENS, delayMs };
  await using daemon = await startMock(script, { parallel: STREAMS_WHILE_REFUSING, queueDepth: 0 });
  const job = streams(daemon, { clients: STREAMS_WHILE_REFUSING, answers: 1, maxTokens: ENDLESS_TOKENS });
  // A separate process reads the streams, so that only the daemon's latency is measured.
  const background = new LoadGenerator();
  const streaming = background.run(job);
  streaming.catch(() => {});
  try {
    await delay(500);
    const count = quick ? 100 : 400;
    const measured = load.run({ kind: "refusal", path: daemon.target.path, count, gapMs: 2 });
    const done = await Promise.race([measured, streaming]);
    if (!("latenciesMs" in done)) throw new Error("The streams ended before the refusals were measured");
    return [...done.latenciesMs];
  } finally {
    await background[Symbol.asyncDispose]();
  }
}

async function measureIdleConnections(load: LoadGenerator): Promise<number> {
  await using daemon = await startMock({ count: 20 }, { parallel: CLIENTS, queueDepth: CLIENTS });
  const job = streams(daemon, { clients: CLIENTS, answers: 10, maxTokens: 100 });
  await load.run(job);
  const pid = await daemon.pid();
  const before = await residentBytes(pid);
  using connections = new DisposableStack();
  for (let count = 0; count < IDLE_CONNECTIONS; count++) {
    connections.use(await Deno.connect({ transport: "unix", path: daemon.target.path }));
  }
  // Connections are accepted in order: once a later one is answered, all are accepted.
  await load.run({ ...job, prompts: [["after"]] });
  return (await residentBytes(pid) - before) / MIB;
}

function startMock(script: MockScript, admission: { parallel: number; queueDepth: number }): Promise<Inferd> {
  return Inferd.start(
    [
      ...["run", "-A", "main.ts", "serve", "--backend", "mock"],
      ...["--parallel", `${admission.parallel}`, "--queue-depth", `${admission.queueDepth}`],
    ],
    { INFERD_MOCK_SCRIPT: JSON.stringify(script) },
  );
}

function streams(
  daemon: Inferd,
  { clients, answers, maxTokens }: { clients: number; answers: number; maxTokens: number },
): StreamJob {
  return {
    kind: "stream",
    target: daemon.target,
    prompts: Array.from(
      { length: clients },
      (_, client) => Array.from({ length: answers }, (_, index) => `Client ${client}, request ${index}`),
    ),
    maxTokens,
    sampling: { temperature: 0, topP: 1, topK: 0, seed: 1 },
  };
}
