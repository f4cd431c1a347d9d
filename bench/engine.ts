/**
 * The engine behind the daemon against llama-server: same model file, threads, slots, context, prompts and clients,
 * alternating. Owns the workload; knows nothing of protocols.
 */
import { join } from "@std/path";
import { IS_ACCELERATED } from "./accelerator.ts";
import { type ContenderOptions, inTurns, type Results, startContenders } from "./contenders.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { Answer, LoadSampling, StreamResult, Target } from "./load_job.ts";
import { spawn } from "./processes.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { type Prompts, storyPrompts, wordPrompts } from "./prompts.ts";
import { BENCH_SHAPE, LARGE_SHAPE, LARGE_VOCABULARY, writeRandomModel } from "./random_gguf.ts";
import { median, percentile, type Row } from "./report.ts";
import { PROJECT, type ServerOptions } from "./servers.ts";

export const BUILT_IN_MODEL: string = join(PROJECT, "models", "inferd-tiny.gguf");
/** Compute threads and parallel requests of both servers. */
export const THREADS = 2;
export const PARALLEL: number = IS_ACCELERATED ? 32 : 8;
const CONTEXT_TOKENS = 1024;
const CLIENTS: readonly number[] = IS_ACCELERATED ? [1, 4, 8, 32] : [1, 4, 8];
/** Greedy sampling. */
export const GREEDY: LoadSampling = { temperature: 0, topP: 1, topK: 0, seed: 1 };
/** v1's defaults, with a seed. */
export const SAMPLED: LoadSampling = { temperature: 1, topP: 0.95, topK: 64, seed: 1 };

/** Available models. */
export type Model = "random" | "built-in";

/** A model and its workload. */
interface Subject {
  readonly name: string;
  readonly model: string;
  readonly prompts: Prompts;
  readonly maxTokens: number;
  /** Answers per round for a number of clients, divided among them. */
  readonly answers: (clients: number) => number;
  /** Goal for tokens per second, relative to the peer. */
  readonly speedGoal: number;
  /** Goal for time to first token, relative to the peer. */
  readonly firstGoal: number;
}

/** A measurement: number of clients and sampling. */
interface Load {
  readonly clients: number;
  readonly sampling: LoadSampling;
  readonly name: string;
}

const LOADS: readonly Load[] = [
  ...CLIENTS.map((clients): Load => ({
    clients,
    sampling: GREEDY,
    name: clients === 1 ? "1 client" : `${clients} clients`,
  })),
  { clients: 4, sampling: SAMPLED, name: "4 clients, sampled" },
];

/** Options of a section. */
export interface EngineBenchOptions extends ContenderOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure a model.
 *
 * @param model The model.
 * @param options Duration and tools.
 * @returns The lines of the table.
 */
export async function benchEngine(model: Model, options: EngineBenchOptions): Promise<Row[]> {
  const scale = options.quick ? 0.5 : 1;
  const subject: Subject = model === "random"
    ? {
      name: `${RANDOM_MODEL}, Q8_0`,
      model: await randomModel(options),
      prompts: wordPrompts(24),
      maxTokens: 64,
      answers: (clients) => scale * (clients === 1 ? 4 : clients * 2),
      speedGoal: 1.2,
      firstGoal: 1,
    }
    : {
      name: "Built-in model, 2.8 M, F16",
      model: BUILT_IN_MODEL,
      prompts: storyPrompts(),
      maxTokens: 200,
      answers: (clients) => scale * (clients === 1 ? 24 : clients * 10),
      speedGoal: 1.1,
      firstGoal: 0.5,
    };
  return await benchSubject(subject, options);
}

/** The random model: on a GPU a larger one, with a vocabulary of today's models. */
export const RANDOM_MODEL: string = IS_ACCELERATED ? "Random Llama, 8 B" : "Random Llama, 203 M";

/** Path of the random model; written on first use. */
export async function randomModel(
  { cache, progress }: Pick<EngineBenchOptions, "cache" | "progress">,
): Promise<string> {
  const path = join(cache, IS_ACCELERATED ? "random-8b-q8_0.gguf" : "random-203m-q8_0.gguf");
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  progress.step("writing a random model");
  await writeRandomModel(path, {
    tokenizerFrom: BUILT_IN_MODEL,
    ...(IS_ACCELERATED
      ? { shape: LARGE_SHAPE, vocabulary: LARGE_VOCABULARY, sameLayers: true }
      : { shape: BENCH_SHAPE }),
    seed: 1,
    onProgress: (fraction) => progress.at(fraction),
  });
  return path;
}

async function benchSubject(subject: Subject, options: EngineBenchOptions): Promise<Row[]> {
  const { load, progress, peerFolder } = options;
  progress.step(`${subject.name}: starting`);
  const serverOptions: ServerOptions = {
    model: subject.model,
    threads: THREADS,
    parallel: PARALLEL,
    contextTokens: CONTEXT_TOKENS,
  };
  await using servers = new AsyncDisposableStack();
  const contenders = await startContenders(servers, serverOptions, options);

  const run = async (target: Target, { clients, sampling }: Load, share: readonly string[]): Promise<StreamResult> =>
    await load.run({
      kind: "stream",
      target,
      prompts: Array.from({ length: clients }, (_, client) => share.filter((_, index) => index % clients === client)),
      maxTokens: subject.maxTokens,
      sampling,
    });
  const draw = (count: number): string[] => Array.from({ length: count }, subject.prompts);

  progress.step(`${subject.name}: warming up`);
  const first = draw(8);
  const firsts: StreamResult[] = [];
  for (const { server } of contenders) {
    firsts.push(await run(server.target, { clients: 1, sampling: GREEDY, name: "" }, first));
  }
  warnIfUnequal(firsts, { subject, progress });
  const warm = draw(PARALLEL * 2);
  for (const { server } of contenders) {
    await run(server.target, { clients: PARALLEL, sampling: SAMPLED, name: "" }, warm);
  }

  const results = new Map<Load, Results>(
    LOADS.map((each) => [each, { peer: [], ours: [] }]),
  );
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, each] of LOADS.entries()) {
      const done = (round * LOADS.length + index) / (options.rounds * LOADS.length);
      progress.at(done, `${subject.name}: round ${round + 1} of ${options.rounds}, ${each.name}`);
      const share = draw(subject.answers(each.clients));
      for (const { side, server } of inTurns(contenders, round)) {
        results.get(each)?.[side].push(await run(server.target, each, share));
      }
    }
  }
  const rows = [...results].flatMap(([each, sides]) => rowsOf(subject, each, sides));
  await servers.disposeAsync();
  if (peerFolder !== undefined) {
    progress.step(`${subject.name}: llama-bench`);
    const ours = rows[0]?.ours;
    rows.push({
      section: subject.name,
      figure: "1 client: speed, llama-bench (no server) in the peer's column",
      unit: "tokens/s",
      peer: await llamaBench(peerFolder, { model: subject.model, rounds: options.rounds }),
      ...(ours !== undefined && { ours }),
    });
  }
  return rows;
}

/** Tokens per second of llama.cpp itself: one stream, no prompt, no server. */
async function llamaBench(folder: string, { model, rounds }: { model: string; rounds: number }): Promise<number> {
  const { stdout } = await spawn(join(folder, "llama-bench"), {
    args: ["-m", model, "-t", `${THREADS}`, "-p", "0", "-n", "64", "-r", `${rounds}`, "-o", "json"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const [result]: { samples_ts: number[] }[] = JSON.parse(new TextDecoder().decode(stdout));
  return median(result?.samples_ts ?? []);
}

function rowsOf(subject: Subject, load: Load, sides: Results): Row[] {
  const row = (
    name: string,
    unit: string,
    of: (results: readonly StreamResult[]) => number,
    goal?: Row["goal"],
  ): Row => ({
    section: subject.name,
    figure: `${load.name}: ${name}`,
    unit,
    ...(sides.peer.length > 0 && { peer: of(sides.peer) }),
    ...(sides.ours.length > 0 && { ours: of(sides.ours) }),
    ...(goal !== undefined && load.sampling === GREEDY && { goal }),
  });
  const first = (part: number) => (results: readonly StreamResult[]): number =>
    percentile(results.flatMap(({ answers }) => answers.map(({ firstMs }) => firstMs)), part);
  return [
    row("speed", "tokens/s", (results) => median(results.map(speed)), {
      kind: "ratio-at-least",
      value: subject.speedGoal,
    }),
    row("first token, p50", "ms", first(0.5), { kind: "ratio-at-most", value: subject.firstGoal }),
    row("first token, p99", "ms", first(0.99)),
  ];
}

function speed({ wallMs, answers }: StreamResult): number {
  return sum(answers, ({ tokens }) => tokens) / wallMs * 1000;
}

/** Warns if the same greedy requests, one at a time, were different work for the two servers. */
function warnIfUnequal(
  results: readonly StreamResult[],
  { subject, progress }: { subject: Subject; progress: Progress },
): void {
  const [peer, ours] = results;
  if (peer === undefined || ours === undefined) return;
  for (const what of ["tokens", "promptTokens", "pieces"] as const) {
    const theirs = sum(peer.answers, (answer) => answer[what]);
    const mine = sum(ours.answers, (answer) => answer[what]);
    if (theirs !== mine) {
      progress.note(`${subject.name}: ${what} differ for the same requests, llama-server ${theirs}, inferd ${mine}`);
    }
  }
}

function sum(answers: readonly Answer[], of: (answer: Answer) => number): number {
  return answers.reduce((total, answer) => total + of(answer), 0);
}
