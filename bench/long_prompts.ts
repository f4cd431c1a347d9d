/**
 * Long prompts as in retrieval and agents, on both servers: prompt throughput, time to first token, and the effect on a
 * running stream. Answers are short. Owns the workload; knows nothing of protocols.
 */
import { type Contender, inTurns, type Results, startContenders } from "./contenders.ts";
import { type EngineBenchOptions, GREEDY, PARALLEL, RANDOM_MODEL, randomModel, THREADS } from "./engine.ts";
import type { BesideResult, StreamResult } from "./load_job.ts";
import { type Prompts, sharedPrompts, wordPrompts } from "./prompts.ts";
import { type Goal, median, percentile, type Row } from "./report.ts";

const SECTION = `Long prompts, ${RANDOM_MODEL}`;
const CONTEXT_TOKENS = 4096;
const LENGTHS = [700, 3000] as const;
const CLIENTS = [1, 4, 8] as const;
const BEGINNINGS = ["different", "shared"] as const;
/** Tokens at the end of each prompt that are not shared, where prefixes are shared: a question. */
const OWN_TOKENS = 16;
const MAX_TOKENS = 16;
/** Prompts per client and round of the shorter length, with different beginnings; else one. */
const PROMPTS_PER_CLIENT = 2;
/** Length of a stream that lasts until a long prompt is processed. */
const STREAM_TOKENS = 2000;
/** Guaranteed longest gap of a stream. */
const LONGEST_GAP_MS = 400;
/** With eight clients a shared prefix is processed once, not eight times. */
const SHARED_SPEED_GOAL = 4.8;
/** Sample size for measuring tokens per word. */
const SAMPLE_WORDS = 200;

/** A measurement. */
interface Load {
  readonly tokens: number;
  readonly clients: number;
  readonly beginnings: typeof BEGINNINGS[number];
}

const LOADS: readonly Load[] = LENGTHS.flatMap((tokens) =>
  BEGINNINGS.flatMap((beginnings) => CLIENTS.map((clients) => ({ tokens, clients, beginnings })))
);

/**
 * Measure long prompts.
 *
 * @param options Duration and tools.
 * @returns The lines of the table.
 */
export async function benchLongPrompts(options: EngineBenchOptions): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  const model = await randomModel(options);
  progress.step(`${SECTION}: starting`);
  await using servers = new AsyncDisposableStack();
  const contenders = await startContenders(
    servers,
    { model, threads: THREADS, parallel: PARALLEL, contextTokens: CONTEXT_TOKENS },
    options,
  );
  const wordsOf = await wordCounter(contenders, options);

  const results = LOADS.map((each) => ({ each, sides: { peer: [], ours: [] } as Results }));
  const besides: Results<BesideResult> = { peer: [], ours: [] };
  const long = wordPrompts(wordsOf(LENGTHS[1]), 1_000_000);
  const short = wordPrompts(8, 2_000_000);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { each, sides }] of results.entries()) {
      const done = (round * (LOADS.length + 1) + index) / (rounds * (LOADS.length + 1));
      progress.at(done, `${SECTION}: round ${round + 1} of ${rounds}, ${nameOf(each)}`);
      const draw = prompts(each, { round, wordsOf });
      // A client's second prompt shares its beginning with the first in both servers; to be measured are several clients.
      const once = quick || each.tokens !== LENGTHS[0] || each.beginnings === "shared";
      const count = once ? 1 : PROMPTS_PER_CLIENT;
      // With one client and one prompt there would be nothing to share.
      const perClient = each.clients === 1 ? Math.max(count, 2) : count;
      const share = Array.from({ length: each.clients }, () => Array.from({ length: perClient }, draw));
      for (const { side, server } of inTurns(contenders, round)) {
        sides[side].push(
          await load.run({
            kind: "stream",
            target: server.target,
            prompts: share,
            maxTokens: MAX_TOKENS,
            sampling: GREEDY,
          }),
        );
      }
    }
    progress.at((round + 1) / rounds, `${SECTION}: round ${round + 1} of ${rounds}, beside a stream`);
    const asked = { stream: short(), prompt: long() };
    for (const { side, server } of inTurns(contenders, round)) {
      besides[side].push(
        await load.run({
          kind: "beside",
          target: server.target,
          ...asked,
          streamTokens: STREAM_TOKENS,
          maxTokens: MAX_TOKENS,
          sampling: GREEDY,
        }),
      );
    }
  }
  return [...results.flatMap(({ each, sides }) => rowsOf(each, sides)), ...besideRows(besides)];
}

/** Measures tokens per word, and so the words for a number of tokens. Also warms up both servers. */
async function wordCounter(
  contenders: readonly Contender[],
  { load }: EngineBenchOptions,
): Promise<(tokens: number) => number> {
  const sample = wordPrompts(SAMPLE_WORDS, 3_000_000);
  const counts: number[] = [];
  for (const { server } of contenders) {
    const { answers } = await load.run({
      kind: "stream",
      target: server.target,
      prompts: [[sample(), sample()]],
      maxTokens: MAX_TOKENS,
      sampling: GREEDY,
    });
    counts.push(...answers.map(({ promptTokens }) => promptTokens));
  }
  return (tokens) => Math.round(tokens * SAMPLE_WORDS / median(counts));
}

/** Prompts of a round, different from those of earlier rounds. */
function prompts(
  { tokens, clients, beginnings }: Load,
  { round, wordsOf }: { readonly round: number; readonly wordsOf: (tokens: number) => number },
): Prompts {
  const seed = ((round + 1) * 10_000 + tokens) * 10 + clients;
  if (beginnings === "different") return wordPrompts(wordsOf(tokens), seed * 100);
  return sharedPrompts(wordsOf(tokens - OWN_TOKENS), { own: wordsOf(OWN_TOKENS), seed: seed * 100 + 50 });
}

function nameOf({ tokens, clients, beginnings }: Load): string {
  return `${tokens} tokens, ${clients} ${clients === 1 ? "client" : "clients"}, ${beginnings} beginnings`;
}

function rowsOf(each: Load, sides: Results): Row[] {
  const row = (name: string, unit: string, of: (results: readonly StreamResult[]) => number, goal: Goal): Row => ({
    section: SECTION,
    figure: `${nameOf(each)}: ${name}`,
    unit,
    ...(sides.peer.length > 0 && { peer: of(sides.peer) }),
    ...(sides.ours.length > 0 && { ours: of(sides.ours) }),
    goal,
  });
  const first = (part: number) => (results: readonly StreamResult[]): number =>
    percentile(results.flatMap(({ answers }) => answers.map(({ firstMs }) => firstMs)), part);
  const once = each.beginnings === "shared" && each.clients === Math.max(...CLIENTS);
  const atMost: Goal = { kind: "ratio-at-most", value: 1 };
  return [
    row("prompts", "tokens/s", (results) => median(results.map(promptSpeed)), {
      kind: "ratio-at-least",
      value: once ? SHARED_SPEED_GOAL : 1,
    }),
    row("first token, p50", "ms", first(0.5), atMost),
    row("first token, p99", "ms", first(0.99), atMost),
  ];
}

function promptSpeed({ wallMs, answers }: StreamResult): number {
  return answers.reduce((tokens, { promptTokens }) => tokens + promptTokens, 0) / wallMs * 1000;
}

function besideRows({ peer, ours }: Results<BesideResult>): Row[] {
  const row = (
    name: string,
    unit: string,
    { of, goal }: { readonly of: (results: readonly BesideResult[]) => number; readonly goal?: Goal },
  ): Row => ({
    section: SECTION,
    figure: `${LENGTHS[1]} tokens beside a stream: ${name}`,
    unit,
    ...(peer.length > 0 && { peer: of(peer) }),
    ...(ours.length > 0 && { ours: of(ours) }),
    ...(goal !== undefined && { goal }),
  });
  const middle = (key: keyof BesideResult) => (results: readonly BesideResult[]): number =>
    median(results.map((result) => result[key]));
  return [
    row("first token", "ms", { of: middle("firstMs"), goal: { kind: "ratio-at-most", value: 1.2 } }),
    row("the stream's longest gap, of all rounds", "ms", {
      of: (results) => Math.max(...results.map(({ longestGapMs }) => longestGapMs)),
      goal: { kind: "at-most", value: LONGEST_GAP_MS },
    }),
    row("the stream", "tokens/s", { of: middle("streamTokensPerSec") }),
  ];
}
