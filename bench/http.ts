/**
 * The HTTP bridge against llama-server: same model file, threads, slots, context, prompts and clients, both through
 * `/v1/chat/completions`, alternating.
 */
import { join } from "@std/path";
import type { ContenderOptions, Results, Side } from "./contenders.ts";
import { type EngineBenchOptions, GREEDY, PARALLEL, randomModel, THREADS } from "./engine.ts";
import type { StreamResult, Target } from "./load_job.ts";
import { type Prompts, sharedPrompts, storyPrompts, wordPrompts } from "./prompts.ts";
import { cpuMs } from "./processes.ts";
import { median, percentile, type Row } from "./report.ts";
import { HttpInferd, LlamaServer, PROJECT, type ServerOptions } from "./servers.ts";

const BUILT_IN_MODEL = join(PROJECT, "models", "inferd-tiny.gguf");

/** A measurement. */
interface Load {
  readonly figure: string;
  readonly clients: number;
  /** Answers per round. */
  readonly answers: number;
  readonly maxTokens: number;
  /** The prompts of a round. */
  readonly prompts: (round: number) => Prompts;
  /** Goal for answers per second, relative to the peer. */
  readonly goal: number;
}

/** A model and its workload. */
interface Subject {
  readonly section: string;
  readonly options: ServerOptions;
  readonly loads: readonly Load[];
  readonly rounds: number;
  /** Answers of ours before anything is measured: programs are compiled as they run. */
  readonly warmUp: number;
}

const WARM_UP_CLIENTS = 8;
/**
 * After so many answers the bridge, which runs for days, costs what it goes on to cost: the first 200 cost half as much
 * again, and only after 600 is most of its code compiled.
 */
const COMPILED_AFTER = 800;

/** Allowed cost of the bridge per token, in microseconds. */
const MOST_BRIDGE_US = 40;

/** Answers to the shared prompt are short: the prompt is what is measured. */
const FEW_TOKENS = 4;

/** A round of the large model takes a minute, mostly llama-server's 32 clients. */
const LARGE_MODEL_ROUNDS = 2;

/**
 * Measure the bridge.
 *
 * @param options Duration and tools.
 * @returns The lines of the table.
 */
export async function benchHttp(options: EngineBenchOptions): Promise<Row[]> {
  const scale = options.quick ? 0.5 : 1;
  const server = { threads: THREADS, parallel: PARALLEL };
  const plain = (prompts: Prompts, maxTokens: number, each: number): Load[] =>
    [1, 4, 8, 32].map((clients) => ({
      figure: clients === 1 ? "1 client" : `${clients} clients`,
      clients,
      // Of one client enough that the processor time, which is told in steps of 10 ms, is not one of a few steps.
      answers: Math.max(clients, Math.round(scale * each * (clients === 1 ? 4 : Math.min(clients, PARALLEL)))),
      maxTokens,
      prompts: () => prompts,
      goal: 1,
    }));
  const shared = (answers: number, words: number): Load => ({
    figure: "8 clients that share 700 tokens",
    clients: 8,
    answers,
    maxTokens: FEW_TOKENS,
    // A beginning of its own for each round: it is computed for the first answers and reused for the others.
    prompts: (round) => sharedPrompts(words, { own: 8, seed: (round + 1) * 1000 }),
    goal: 4,
  });
  const subjects: Subject[] = [{
    section: "HTTP, built-in model, 2.8 M, F16",
    options: { ...server, model: BUILT_IN_MODEL, contextTokens: 1024 },
    loads: [...plain(storyPrompts(), 200, 10), shared(32, 690)],
    rounds: options.rounds,
    warmUp: COMPILED_AFTER,
  }];
  if (!options.quick) {
    subjects.push({
      section: "HTTP, random Llama, 203 M, Q8_0",
      options: { ...server, model: await randomModel(options), contextTokens: 1024 },
      loads: [...plain(wordPrompts(24), 32, 1), shared(16, 690)],
      rounds: Math.min(options.rounds, LARGE_MODEL_ROUNDS),
      warmUp: 16,
    });
  }
  const rows: Row[] = [];
  for (const subject of subjects) rows.push(...await benchSubject(subject, options));
  return rows;
}

async function benchSubject(
  { section, options: server, loads, rounds, warmUp }: Subject,
  options: EngineBenchOptions,
): Promise<Row[]> {
  const { load, progress } = options;
  progress.step(`${section}: starting`);
  await using servers = new AsyncDisposableStack();
  const { targets, bridgePid } = await startBoth(servers, server, options);
  const rows: Row[] = [];
  await warmUpAll(targets, { loads, warmUp }, options);
  for (const { figure, clients, answers, maxTokens, prompts, goal } of loads) {
    const results: Results = { peer: [], ours: [] };
    const bridgeUs: number[] = [];
    // The first round is a warm-up, with one answer per client.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${section}: ${figure}, round ${round} of ${rounds}`);
      const share = Array.from({ length: round === 0 ? clients : answers }, prompts(round));
      const each = Array.from(
        { length: clients },
        (_, client) => share.filter((_, index) => index % clients === client),
      );
      for (const [side, target] of round % 2 === 0 ? targets : targets.toReversed()) {
        const before = side === "ours" && bridgePid !== undefined ? await cpuMs(bridgePid) : 0;
        const result = await load.run({ kind: "stream", target, prompts: each, maxTokens, sampling: GREEDY });
        if (round === 0) continue;
        results[side].push(result);
        if (side === "ours" && bridgePid !== undefined) {
          bridgeUs.push((await cpuMs(bridgePid) - before) * 1000 / Math.max(1, tokensOf(result)));
        }
      }
    }
    rows.push(...rowsOf({ section, figure, goal }, results));
    // With answers of a few tokens it would measure the cost of a request, and after few answers that of compilation.
    if (bridgePid !== undefined && maxTokens > FEW_TOKENS && warmUp >= COMPILED_AFTER) {
      rows.push(bridgeRow({ section, figure }, bridgeUs));
    }
  }
  return rows;
}

async function warmUpAll(
  targets: readonly (readonly [Side, Target])[],
  { loads: [first], warmUp }: Pick<Subject, "loads" | "warmUp">,
  { load }: EngineBenchOptions,
): Promise<void> {
  if (first === undefined) return;
  const { prompts, maxTokens } = first;
  const next = prompts(0);
  for (const [side, target] of targets) {
    // The peer's code is compiled already.
    const each = side === "ours" ? warmUp / WARM_UP_CLIENTS : 1;
    const prompts = Array.from({ length: WARM_UP_CLIENTS }, () => Array.from({ length: each }, next));
    await load.run({ kind: "stream", target, prompts, maxTokens, sampling: GREEDY });
  }
}

async function startBoth(
  servers: AsyncDisposableStack,
  options: ServerOptions,
  { peerFolder, peerOnly }: ContenderOptions,
): Promise<{ readonly targets: readonly (readonly [Side, Target])[]; readonly bridgePid?: number }> {
  const targets: (readonly [Side, Target])[] = [];
  if (peerFolder !== undefined) {
    targets.push(["peer", servers.use(await LlamaServer.start(peerFolder, options, "chat")).target]);
  }
  if (peerOnly) return { targets };
  const { target, bridgePid } = servers.use(await HttpInferd.start(options));
  return { targets: [...targets, ["ours", target]], bridgePid };
}

/** CPU cost of the bridge itself for a token, requests included, in microseconds: the median of the rounds. */
function bridgeRow(head: Pick<Row, "section" | "figure">, rounds: readonly number[]): Row {
  return {
    ...head,
    figure: `${head.figure}: bridge CPU`,
    unit: "µs/token",
    ours: median(rounds),
    goal: { kind: "at-most", value: MOST_BRIDGE_US },
  };
}

function tokensOf({ answers }: StreamResult): number {
  return answers.reduce((sum, { tokens }) => sum + tokens, 0);
}

function rowsOf({ section, figure, goal }: Pick<Row, "section" | "figure"> & { goal: number }, sides: Results): Row[] {
  const row = (
    what: string,
    unit: string,
    of: (results: readonly StreamResult[]) => number,
    limit?: Row["goal"],
  ): Row => ({
    section,
    figure: `${figure}: ${what}`,
    unit,
    ...(sides.peer.length > 0 && { peer: of(sides.peer) }),
    ...(sides.ours.length > 0 && { ours: of(sides.ours) }),
    ...(limit !== undefined && { goal: limit }),
  });
  const rate = (of: (result: StreamResult) => number) => (results: readonly StreamResult[]): number =>
    median(results.map((result) => of(result) / result.wallMs * 1000));
  return [
    row("speed", "tokens/s", rate(tokensOf)),
    row("answers", "1/s", rate(({ answers }) => answers.length), { kind: "ratio-at-least", value: goal }),
    row(
      "first token, p50",
      "ms",
      (results) => percentile(results.flatMap(({ answers }) => answers.map(({ firstMs }) => firstMs)), 0.5),
      { kind: "ratio-at-most", value: 1 },
    ),
  ];
}
