/**
 * Gain of speculative decoding for one client: a text repeated with one word changed, by a model that recites it; text
 * without repetition, with a draft model that is always right; and the loss where no draft is accepted.
 */
import { join } from "@std/path";
import { GREEDY, randomModel } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { LoadSampling, StreamResult } from "./load_job.ts";
import { wordPrompts } from "./prompts.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { BENCH_SHAPE } from "./random_gguf.ts";
import { asText, knownWords, recitingModel } from "./recital.ts";
import { median, type Row } from "./report.ts";
import { Inferd, serveBackend } from "./servers.ts";

const SECTION = "Speculative decoding, 203 M, Q8_0, 1 client";
const TOKENS = 160;
const ANSWERS = 2;
/** Sampled nonsense without repetition. */
const SAMPLED: LoadSampling = { temperature: 1, topP: 0.95, topK: 64, seed: 1 };
const CONTEXT_TOKENS = 1024;

/** Options of this section. */
export interface CopyingBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/** A measurement. */
interface Task {
  readonly figure: string;
  readonly model: string;
  readonly prompt: () => string;
  readonly sampling: LoadSampling;
  /** Settings of the backend with speculation; the other side has `speculation: false`. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly goal?: number;
}

/**
 * Measure speculative decoding.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; the peer's column is without speculation.
 */
export async function benchCopying(options: CopyingBenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const task of await tasksOf(options)) rows.push(await measure(task, options));
  return rows;
}

async function tasksOf(options: CopyingBenchOptions): Promise<Task[]> {
  const words = await knownWords();
  const recites = [["Ċ", ...words]];
  const reciting = await recitingModel("reciting-203m-q8_0.gguf", recites, options);
  const right = await recitingModel("reciting-draft-q8_0.gguf", recites, options, { ...BENCH_SHAPE, layers: 1 });
  // Starts with the same token and diverges from there.
  const wrong = await recitingModel("misleading-draft-q8_0.gguf", [["Ċ", ...words.toReversed()]], options, {
    ...BENCH_SHAPE,
    layers: 1,
  });
  const random = await randomModel(options);
  const prompts = wordPrompts(24);
  let changed = 0;
  const copied = (): string => {
    const at = 20 + changed++ % (TOKENS - 40);
    return `Repeat this text:${asText(words.slice(0, TOKENS).with(at, "Ġbridge"))}`;
  };
  return [
    {
      figure: "a text repeated with one word changed: speed",
      ...{ model: reciting, prompt: copied, sampling: GREEDY, settings: {}, goal: 1.5 },
    },
    {
      figure: "free text, sampled, with speculation left on: speed",
      ...{ model: random, prompt: prompts, sampling: SAMPLED, settings: {}, goal: 0.98 },
    },
    {
      figure: "free text, with a draft of 15 M that is always right: speed",
      ...{ model: reciting, prompt: prompts, sampling: GREEDY, settings: { draft: { path: right } } },
    },
    {
      figure: "free text, with a draft of 15 M that is always wrong: speed",
      ...{ model: reciting, prompt: prompts, sampling: GREEDY, settings: { draft: { path: wrong } }, goal: 0.98 },
    },
  ];
}

async function measure(task: Task, { load, progress, rounds, quick }: CopyingBenchOptions): Promise<Row> {
  const { figure, model, prompt, sampling, settings, goal } = task;
  progress.step(`${SECTION}: ${figure}`);
  const folder = await Deno.makeTempDir({ prefix: "inferd-bench-" });
  try {
    await using servers = new AsyncDisposableStack();
    const serverOptions = { model, threads: 2, parallel: 1, contextTokens: CONTEXT_TOKENS };
    const start = async (name: string, keys: Readonly<Record<string, unknown>>): Promise<Inferd> =>
      servers.use(await Inferd.start(await serveBackend(join(folder, `${name}.json`), serverOptions, keys)));
    const sides = {
      peer: await start("without", { speculation: false }),
      ours: await start("with", settings),
    };
    const speeds = { peer: [] as number[], ours: [] as number[] };
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `${SECTION}: ${figure}, round ${round} of ${rounds}`);
      const share = Array.from({ length: quick ? 1 : ANSWERS }, prompt);
      for (const side of round % 2 === 0 ? ["peer", "ours"] as const : ["ours", "peer"] as const) {
        const result = await load.run({
          kind: "stream",
          target: sides[side].target,
          prompts: [share],
          maxTokens: TOKENS,
          sampling,
        });
        if (round > 0) speeds[side].push(speedOf(result));
      }
    }
    return {
      section: SECTION,
      figure: `${figure}, without them in the peer's column`,
      unit: "tokens/s",
      peer: median(speeds.peer),
      ours: median(speeds.ours),
      ...(goal !== undefined && { goal: { kind: "ratio-at-least", value: goal } }),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Speed of generation alone: prompts are comparatively long. */
function speedOf({ answers }: StreamResult): number {
  const sum = (of: (answer: StreamResult["answers"][number]) => number): number =>
    answers.reduce((total, answer) => total + of(answer), 0);
  return sum(({ tokens }) => tokens - 1) / sum(({ totalMs, firstMs }) => totalMs - firstMs) * 1000;
}
