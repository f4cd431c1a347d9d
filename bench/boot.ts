/**
 * Start-up time and footprint: from `deno task start` to the first connection, one `status`, the memory of daemon and
 * engine together, and what the monitor costs: memory, also right when it is ready, and time.
 */
import { join } from "@std/path";
import type { LoadGenerator } from "./load_generator.ts";
import { processTree, residentBytes, spawn, startedMs } from "./processes.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { storyPrompts } from "./prompts.ts";
import { median, type Row } from "./report.ts";
import { Inferd, PROJECT } from "./servers.ts";

const SECTION = "deno task start, built-in model";
const MIB = 1024 * 1024;
const CLIENTS = 4;
const LOOKS = 5;

/** Options of a section. */
export interface BootBenchOptions {
  readonly rounds: number;
  readonly load: LoadGenerator;
  readonly progress: Progress;
}

/**
 * Measure booting.
 *
 * @param options Rounds and tools.
 * @returns The lines of the table.
 */
export async function benchBoot({ rounds, load, progress }: BootBenchOptions): Promise<Row[]> {
  const readyMs: number[] = [];
  const monitor: number[] = [];
  const monitorMs: number[] = [];
  const daemon: number[] = [];
  const together: number[] = [];
  const statusMs: number[] = [];
  const prompts = storyPrompts();
  for (let round = 0; round < rounds; round++) {
    progress.at(round / rounds, `Boot: round ${round + 1} of ${rounds}`);
    await using server = await Inferd.start(["task", "--quiet", "start"]);
    readyMs.push(server.readyMs);
    const monitorPid = await server.monitorPid();
    const atFirst = await residentBytes(monitorPid);
    monitorMs.push(await startedMs(await server.pid()) - await startedMs(monitorPid));
    await load.run({
      kind: "stream",
      target: server.target,
      prompts: Array.from({ length: CLIENTS }, () => [prompts(), prompts()]),
      maxTokens: 100,
      sampling: { temperature: 0, topP: 1, topK: 0, seed: 1 },
    });
    const memory = await Promise.all((await processTree(monitorPid)).map(residentBytes));
    for (let look = 0; look < LOOKS; look++) statusMs.push(await timeStatus(server));
    monitor.push(Math.max(atFirst, memory[0] ?? NaN));
    daemon.push(memory[1] ?? NaN);
    together.push(memory.slice(1).reduce((sum, bytes) => sum + bytes, 0));
  }
  return [
    {
      section: SECTION,
      figure: "From the command to the first connection",
      unit: "s",
      ours: median(readyMs) / 1000,
      goal: { kind: "at-most", value: 1.5 },
    },
    {
      section: SECTION,
      figure: "Resident memory of daemon and engine",
      unit: "MiB",
      ours: median(together) / MIB,
      goal: { kind: "at-most", value: 180 },
    },
    {
      section: SECTION,
      figure: "inferd status, from the shell to its end",
      unit: "ms",
      ours: median(statusMs),
      goal: { kind: "at-most", value: 150 },
    },
    {
      section: SECTION,
      figure: "Resident memory of the monitor, when ready or later",
      unit: "MiB",
      ours: median(monitor) / MIB,
      goal: { kind: "at-most", value: 55 },
    },
    {
      section: SECTION,
      figure: "From the start of the monitor to that of the daemon",
      unit: "ms",
      ours: median(monitorMs),
      goal: { kind: "at-most", value: 150 },
    },
    { section: SECTION, figure: "Resident memory of the daemon alone", unit: "MiB", ours: median(daemon) / MIB },
  ];
}

/** Time of one `inferd status` run from a shell, in milliseconds. */
async function timeStatus({ target }: Inferd): Promise<number> {
  const admin = target.path.replace(/infer\.sock$/, "admin.sock");
  const started = performance.now();
  const { code } = await spawn(Deno.execPath(), {
    args: ["run", "-A", join(PROJECT, "main.ts"), "status", "--admin-addr", admin],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (code !== 0) throw new Error(`inferd status ended with ${code}`);
  return performance.now() - started;
}
