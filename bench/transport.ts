/**
 * The engine behind the private socket against the same engine behind pipes: same daemon, model and requests, in turns.
 * A second daemon with pipes shows how much two equal daemons differ.
 */
import type { Progress } from "../src/cli/terminal/progress.ts";
import { BUILT_IN_MODEL, GREEDY, PARALLEL, THREADS } from "./engine.ts";
import { LoadGenerator } from "./load_generator.ts";
import type { StreamResult } from "./load_job.ts";
import { cpuMs, processTree } from "./processes.ts";
import { storyPrompts } from "./prompts.ts";
import { median, percentile, type Row } from "./report.ts";
import { Inferd, modelFlags } from "./servers.ts";

const SECTION = "Engine behind a socket, pipes in the peer's column";
const NOISE_SECTION = "Two daemons with pipes";
const CONTEXT_TOKENS = 1024;
const MAX_TOKENS = 200;
const CLIENTS = [1, 8] as const;
/** Answers of each client in a turn: about a second. */
const ANSWERS = { 1: 20, 8: 8 } as const;
/** Turns of each daemon in a round. Many short ones, because the difference is smaller than a machine's noise. */
const TURNS_PER_ROUND = 12;
/** The built-in model is done with the next turn of its conversations in milliseconds. */
const MOST_LOOKS = 2;
/** What two equal daemons differ by on an idle machine. Beside other work it is 10 % and more: see the last rows. */
const NOISE = { speed: 0.02, first: 0.05, cpu: 0.05 } as const;

/** How a daemon and its engine exchange messages. */
export type Transport = "socket" | "pipes";

/** Options of this section. */
export interface TransportBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly progress: Progress;
}

/** What was measured in one turn. */
export interface TransportTurn extends StreamResult {
  /** The daemon's processor time meanwhile. */
  readonly cpuMs: number;
}

const SIDES = ["pipes", "socket", "pipesAgain"] as const;
type Side = typeof SIDES[number];

/**
 * Measure the socket against pipes.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; pipes are in the peer's column.
 */
export async function benchTransport({ progress, rounds, quick }: TransportBenchOptions): Promise<Row[]> {
  await using daemons = new AsyncDisposableStack();
  const load = daemons.use(new LoadGenerator({ mostLooks: MOST_LOOKS }));
  const start = async (transport: Transport): Promise<Inferd> => daemons.use(await startTransport(transport));
  const sides = { pipes: await start("pipes"), socket: await start("socket"), pipesAgain: await start("pipes") };
  const prompts = storyPrompts();
  const measured = new Map(
    CLIENTS.map((clients): [typeof clients, Record<Side, TransportTurn[]>] => [
      clients,
      { pipes: [], socket: [], pipesAgain: [] },
    ]),
  );
  const turns = rounds * TURNS_PER_ROUND / (quick ? 2 : 1);
  // The first turn is a warm-up.
  for (let turn = 0; turn <= turns; turn++) {
    progress.at(turn / (turns + 1), `Transport: turn ${turn} of ${turns}`);
    for (const [clients, results] of measured) {
      const share = Array.from({ length: clients }, () => Array.from({ length: ANSWERS[clients] }, prompts));
      // Back and forth, so that on average all have the same place.
      for (const side of turn % 2 === 0 ? SIDES : SIDES.toReversed()) {
        const { target, process: { pid } } = sides[side];
        const before = await cpuMs(pid);
        const result = await load.run({
          kind: "stream",
          target,
          prompts: share,
          maxTokens: MAX_TOKENS,
          sampling: GREEDY,
        });
        if (turn > 0) results[side].push({ ...result, cpuMs: await cpuMs(pid) - before });
      }
    }
  }
  return [
    ...[...measured].flatMap(([clients, { pipes, socket }]) =>
      transportRows({ section: SECTION, clients }, pipes, socket)
    ),
    ...[...measured].flatMap(([clients, { pipes, pipesAgain }]) =>
      transportRows({ section: NOISE_SECTION, clients, isAimless: true }, pipes, pipesAgain)
    ),
  ];
}

/**
 * Start a daemon with the built-in model.
 *
 * @param transport How it meets its engine.
 * @returns The daemon. It was made sure that it meets its engine so.
 */
export async function startTransport(transport: Transport): Promise<Inferd> {
  const flags = modelFlags({
    model: BUILT_IN_MODEL,
    threads: THREADS,
    parallel: PARALLEL,
    contextTokens: CONTEXT_TOKENS,
  });
  const daemon = await Inferd.start(["run", "-A", "bench/transport_daemon.ts", transport, ...flags]);
  try {
    const found = await transportOf(daemon.process.pid);
    if (found === transport) return daemon;
    throw new Error(`A daemon with ${transport} meets its engine on ${found}`);
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * How a daemon and its engine exchange messages, as the kernel knows.
 *
 * @param pid The daemon.
 * @returns The way.
 */
export async function transportOf(pid: number): Promise<Transport> {
  for (const one of await processTree(pid)) {
    const command = await Deno.readTextFile(`/proc/${one}/cmdline`);
    if (!command.includes("/src/engine/main.ts")) continue;
    const stdin = await Deno.readLink(`/proc/${one}/fd/0`);
    return stdin.startsWith("pipe:") ? "pipes" : "socket";
  }
  throw new Error("The daemon has no engine");
}

/**
 * The lines for one number of clients.
 *
 * @param of Where they belong; `isAimless`: they have no targets.
 * @param peer The turns of the peer's column.
 * @param ours The turns of ours.
 * @returns Speed, time to first token and processor time.
 */
export function transportRows(
  { section, clients, isAimless = false }: {
    readonly section: string;
    readonly clients: number;
    readonly isAimless?: boolean;
  },
  peer: readonly TransportTurn[],
  ours: readonly TransportTurn[],
): Row[] {
  const row = (
    figure: string,
    unit: string,
    of: (turns: readonly TransportTurn[]) => number,
    goal: Row["goal"],
  ): Row => ({
    section,
    figure: `${clients} ${clients === 1 ? "client" : "clients"}: ${figure}`,
    unit,
    peer: of(peer),
    ours: of(ours),
    ...(goal !== undefined && !isAimless && { goal }),
  });
  return [
    row("speed", "tokens/s", (turns) => median(turns.map(speed)), { kind: "ratio-at-least", value: 1 - NOISE.speed }),
    row("first token, p50", "ms", (turns) => percentile(turns.flatMap(firstsOf), 0.5), {
      kind: "ratio-at-most",
      value: 1 + NOISE.first,
    }),
    row("daemon's CPU time per token frame", "µs", cpuUsPerFrame, { kind: "ratio-at-most", value: 1 + NOISE.cpu }),
  ];
}

function firstsOf({ answers }: TransportTurn): number[] {
  return answers.map(({ firstMs }) => firstMs);
}

function speed({ answers, wallMs }: TransportTurn): number {
  return sum(answers, ({ tokens }) => tokens) / wallMs * 1000;
}

/** Over all turns: the kernel counts in hundredths of a second. */
function cpuUsPerFrame(turns: readonly TransportTurn[]): number {
  return sum(turns, ({ cpuMs }) => cpuMs) * 1000 / sum(turns, ({ answers }) => sum(answers, ({ pieces }) => pieces));
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
