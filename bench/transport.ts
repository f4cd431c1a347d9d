/**
 * The engine behind the private socket against the same engine behind pipes: same daemon, model and requests, in turns.
 * A second daemon with pipes shows how much two equal daemons differ.
 */
import type { Progress } from "../src/cli/terminal/progress.ts";
import { BUILT_IN_MODEL, GREEDY, PARALLEL, THREADS } from "./engine.ts";
import type { LoadGenerator } from "./load_generator.ts";
import type { Answer, StreamResult } from "./load_job.ts";
import { cpuMs, processTree } from "./processes.ts";
import { storyPrompts } from "./prompts.ts";
import { median, percentile, type Row } from "./report.ts";
import { Inferd, modelFlags } from "./servers.ts";

const SECTION = "Engine behind a socket, pipes in the peer's column";
const NOISE_SECTION = "Two daemons with pipes";
const CONTEXT_TOKENS = 1024;
const MAX_TOKENS = 200;
const CLIENTS = [1, 8] as const;
/** What two equal daemons may differ by. */
const NOISE = { speed: 0.02, first: 0.05, cpu: 0.05 } as const;

/** How a daemon and its engine exchange messages. */
export type Transport = "socket" | "pipes";

/** Options of this section. */
export interface TransportBenchOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/** What was measured in one round. */
export interface TransportRound {
  readonly turns: readonly StreamResult[];
  /** The daemon's processor time meanwhile. */
  readonly cpuMs: number;
}

/** The rounds of each daemon. */
export interface TransportRounds {
  readonly pipes: TransportRound[];
  readonly socket: TransportRound[];
  readonly pipesAgain: TransportRound[];
}

const SIDES = ["pipes", "socket", "pipesAgain"] as const satisfies readonly (keyof TransportRounds)[];
/** Back and forth, so that on average all have the same place. */
const TURNS = [SIDES, SIDES.toReversed()];

/**
 * Measure the socket against pipes.
 *
 * @param options Duration and tools.
 * @returns The lines of the table; pipes are in the peer's column.
 */
export async function benchTransport(options: TransportBenchOptions): Promise<Row[]> {
  const { load, progress, rounds, quick } = options;
  await using daemons = new AsyncDisposableStack();
  const start = async (transport: Transport): Promise<Inferd> => daemons.use(await startTransport(transport));
  const sides = {
    pipes: await start("pipes"),
    socket: await start("socket"),
    pipesAgain: await start("pipes"),
  };
  const prompts = storyPrompts();
  const rows: Row[] = [];
  const noise: Row[] = [];
  for (const clients of CLIENTS) {
    const measured: TransportRounds = { pipes: [], socket: [], pipesAgain: [] };
    const answers = (clients === 1 ? 40 : 20) / (quick ? 2 : 1);
    // The first round is a warm-up.
    for (let round = 0; round <= rounds; round++) {
      progress.at(round / (rounds + 1), `Transport: ${clients} clients, round ${round} of ${rounds}`);
      const now = { pipes: emptyRound(), socket: emptyRound(), pipesAgain: emptyRound() };
      for (const order of TURNS) {
        const share = Array.from({ length: clients }, () => Array.from({ length: answers }, prompts));
        for (const side of order) {
          const { pid } = sides[side].process;
          const before = await cpuMs(pid);
          const { target } = sides[side];
          const job = { kind: "stream", target, prompts: share, maxTokens: MAX_TOKENS, sampling: GREEDY } as const;
          now[side].turns.push(await load.run(job));
          now[side].cpuMs += await cpuMs(pid) - before;
        }
      }
      if (round > 0) { for (const side of SIDES) measured[side].push(now[side]); }
    }
    const { pipes, socket, pipesAgain } = measured;
    rows.push(...transportRows({ section: SECTION, clients }, pipes, socket));
    noise.push(...transportRows({ section: NOISE_SECTION, clients, isAimless: true }, pipes, pipesAgain));
  }
  return [...rows, ...noise];
}

function emptyRound(): { readonly turns: StreamResult[]; cpuMs: number } {
  return { turns: [], cpuMs: 0 };
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
 * @param peer The rounds of the peer's column.
 * @param ours The rounds of ours.
 * @returns Speed, time to first token and processor time.
 */
export function transportRows(
  { section, clients, isAimless = false }: {
    readonly section: string;
    readonly clients: number;
    readonly isAimless?: boolean;
  },
  peer: readonly TransportRound[],
  ours: readonly TransportRound[],
): Row[] {
  const row = (
    figure: string,
    unit: string,
    of: (rounds: readonly TransportRound[]) => number,
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
    row("speed", "tokens/s", (rounds) => median(rounds.map(speed)), {
      kind: "ratio-at-least",
      value: 1 - NOISE.speed,
    }),
    row(
      "first token, p50",
      "ms",
      (rounds) => percentile(rounds.flatMap(answersOf).map(({ firstMs }) => firstMs), 0.5),
      {
        kind: "ratio-at-most",
        value: 1 + NOISE.first,
      },
    ),
    row("daemon's CPU time per token frame", "µs", (rounds) => median(rounds.map(cpuUsPerFrame)), {
      kind: "ratio-at-most",
      value: 1 + NOISE.cpu,
    }),
  ];
}

function speed(round: TransportRound): number {
  return sum(answersOf(round), ({ tokens }) => tokens) / sum(round.turns, ({ wallMs }) => wallMs) * 1000;
}

function cpuUsPerFrame(round: TransportRound): number {
  return round.cpuMs * 1000 / sum(answersOf(round), ({ pieces }) => pieces);
}

function answersOf({ turns }: TransportRound): Answer[] {
  return turns.flatMap(({ answers }) => answers);
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
