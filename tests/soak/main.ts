/**
 * Mixed clients of every surface and faults, for a while: every request ends exactly once with its own answer, and the
 * daemon's memory and descriptors stay flat. The seed decides what the clients and faults draw; the machine's timing
 * decides the rest.
 *
 * usage: deno task soak [--minutes N] [--seed N]
 */
import { delay } from "@std/async";
import { Sandbox } from "../support/program.ts";
import { randomFrom } from "../support/random.ts";
import { taskFlags } from "../support/task_flags.ts";
import { isAway, pick, visit } from "./clients.ts";
import { engines, FAULTS, LETHAL, type Target, usage } from "./faults.ts";
import { Ledger } from "./ledger.ts";

/** How a soak is run. */
export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly clients: number;
  /** Told of each fault. */
  readonly report: (text: string) => void;
  /** Ends it early: the daemon drains, and its memory and engines are not looked at. */
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface SoakResult {
  readonly requests: number;
  readonly counts: Readonly<Record<string, number>>;
  /** How often each fault was made. */
  readonly made: Readonly<Record<string, number>>;
  /** What must not be; empty where all is well. */
  readonly faults: readonly string[];
  /** Resident MiB and descriptors of the daemon, before and after. */
  readonly before: Usage;
  readonly after: Usage;
}

interface Usage {
  readonly mib: number;
  readonly descriptors: number;
}

const CLIENTS = 10;
const AWAY_MS = 50;
/** Between faults, in milliseconds: an engine is back by then. */
const FAULT_EVERY_MS = 4000;
/** Five deaths within five minutes are the end of an engine, whichever it was: so many are made within them. */
const MAX_DEATHS = 4;
const DEATHS_MS = 5 * 60_000;
/** What a daemon may grow by: the heap of V8 is not given back at once. */
const MAX_GROWTH_MIB = 250;
const MAX_MORE_DESCRIPTORS = 8;
/** Longer than connections linger. */
const SETTLE_MS = 12_000;
const ENGINES = 3;
/** How long clients ask before the daemon is told to end, in milliseconds. */
const LAST_MS = 1000;

/** Run one. */
export async function soak({ seconds, seed, clients, report, signal }: SoakOptions): Promise<SoakResult> {
  await using box = new Sandbox();
  const config = `${box.dir}/config.json`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({ backends: ["inferd-tiny", "inferd-tiny-embed", "inferd-tiny-rerank"].map(backend) }),
  );
  await using daemon = await box.serve(["--config", config]);
  const { pid, daemonPid } = daemon;
  const ledger = new Ledger();
  const random = randomFrom(seed);
  const target: Target = { pid, daemonPid, runtimeDir: box.runtimeDir, logDir: `${box.dir}/logs`, random };
  const before = use(daemonPid);
  const until = Date.now() + seconds * 1000;
  let isOver = (): boolean => signal.aborted || Date.now() >= until;
  const made: Record<string, number> = {};

  const client = async (own: () => number): Promise<void> => {
    while (!isOver()) {
      try {
        await visit({ runtimeDir: box.runtimeDir, random: own, ledger });
      } catch (error) {
        if (!isAway(error) && !isCut(error)) throw error;
        await delay(AWAY_MS);
      }
    }
  };
  const deaths: number[] = [];
  const trouble = async (): Promise<void> => {
    while (Date.now() + FAULT_EVERY_MS < until) {
      await pause(FAULT_EVERY_MS, signal);
      if (signal.aborted) return;
      const recent = deaths.filter((at) => Date.now() - at < DEATHS_MS);
      const name = pick(random, Object.keys(FAULTS).filter((one) => recent.length < MAX_DEATHS || !LETHAL.has(one)));
      if (LETHAL.has(name)) deaths.push(Date.now());
      report(name);
      made[name] = (made[name] ?? 0) + 1;
      try {
        await FAULTS[name]?.(target);
      } catch (error) {
        if (!isAway(error) && !isCut(error)) throw error;
      }
    }
  };
  const ask = (): Promise<void>[] =>
    Array.from({ length: clients }, (_, index) => client(randomFrom(seed * 1000 + index)));
  await Promise.all([...ask(), trouble()]);

  if (signal.aborted) {
    const { code, stderr } = await daemon.end();
    const faults = [...ledger.faults, ...endedWith(code, stderr)];
    return { requests: ledger.total, counts: ledger.counts, made, faults, before, after: before };
  }

  await box.admin.ready();
  await pause(SETTLE_MS, signal);
  const after = use(daemonPid);
  const running = engines(pid).length;
  // It is told to end while they ask.
  let ended = false;
  isOver = () => ended;
  const last = ask();
  await delay(LAST_MS);
  const { code, stderr } = await daemon.end();
  ended = true;
  await Promise.all(last);
  const faults = [...ledger.faults, ...endedWith(code, stderr)];
  if (after.mib > before.mib + MAX_GROWTH_MIB) faults.push(`The daemon grew from ${before.mib} to ${after.mib} MiB`);
  if (after.descriptors > before.descriptors + MAX_MORE_DESCRIPTORS) {
    faults.push(`The daemon's descriptors grew from ${before.descriptors} to ${after.descriptors}`);
  }
  if (running !== ENGINES) faults.push(`${running} engines run, not ${ENGINES}`);
  return { requests: ledger.total, counts: ledger.counts, made, faults, before, after };
}

function backend(name: string): Record<string, unknown> {
  return { kind: "llamacpp", name, model: { name } };
}

function endedWith(code: number, stderr: string): string[] {
  return code === 0 ? [] : [`The daemon ended with ${code}: ${stderr}`];
}

/** Wait, but not longer than until the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, { signal }).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

function use(pid: number): Usage {
  const { bytes, descriptors } = usage(pid);
  return { mib: Math.round(bytes / 2 ** 20), descriptors };
}

/** A write to a connection that the other side has closed. */
function isCut(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}

if (import.meta.main) {
  const flags = taskFlags(Deno.args, "deno task soak [--minutes N] [--seed N]", { minutes: "1", seed: "1" });
  if (Deno.build.os !== "linux") {
    console.log("The soak finds engines in /proc: it runs on Linux alone");
    Deno.exit(0);
  }
  const [minutes, seed] = [Number(flags.minutes), Number(flags.seed)];
  if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
    console.error(`--minutes must be above 0 and --seed an integer, got "${flags.minutes}" and "${flags.seed}"`);
    Deno.exit(2);
  }
  const begun = Date.now();
  const report = (text: string): void => console.log(`${((Date.now() - begun) / 1000).toFixed(0)} s: ${text}`);
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => interrupted.abort());
  }
  const { signal } = interrupted;
  const { faults, ...figures } = await soak({ seconds: minutes * 60, seed, clients: CLIENTS, report, signal });
  console.log(JSON.stringify(figures, undefined, 2));
  for (const fault of faults) console.error(fault);
  console.log(`${faults.length} faults of the daemon, seed ${seed}${signal.aborted ? ", interrupted" : ""}`);
  Deno.exit(signal.aborted ? 130 : faults.length === 0 ? 0 : 1);
}
