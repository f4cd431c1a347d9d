/** What goes wrong during a soak. Linux only: engines are found in `/proc`. */
import { delay } from "@std/async";
import { WireClient } from "../support/wire_client.ts";
import { pick } from "./clients.ts";

/** Whom it happens to. */
export interface Target {
  /** The process that was started. */
  readonly pid: number;
  readonly runtimeDir: string;
  readonly logDir: string;
  readonly random: () => number;
}

/** Below the watchdog's 30 s: the engine resumes. */
const STOPPED_MS = 1500;
const UNFINISHED_BYTES = 2 ** 20;
const UNFINISHED = 8;
const BLANK_LINES = 20_000;
const STORM = 100;

/** Every process below another. */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent === pid) found.push(Number(name), ...descendants(Number(name)));
  }
  return found;
}

/** The engines that run below a process. */
export function engines(pid: number): number[] {
  return descendants(pid).filter((one) => /\/engine\/main\.ts/.test(readProc(one, "cmdline")));
}

/** Resident memory in bytes, and open descriptors. */
export function usage(pid: number): { readonly bytes: number; readonly descriptors: number } {
  const kib = /VmRSS:\s+(\d+)/.exec(readProc(pid, "status"))?.[1];
  return { bytes: Number(kib ?? 0) * 1024, descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length };
}

function parentOf(pid: number): number | undefined {
  const found = /PPid:\s+(\d+)/.exec(readProc(pid, "status"))?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Empty where the process has ended. */
function readProc(pid: number, name: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}

function signalEngine({ pid, random }: Target, signal: Deno.Signal): number | undefined {
  const running = engines(pid);
  if (running.length === 0) return undefined;
  const engine = pick(random, running);
  Deno.kill(engine, signal);
  return engine;
}

/** Every fault, by name. */
export const FAULTS: Readonly<Record<string, (target: Target) => Promise<void> | void>> = {
  "engine killed": (target): void => void signalEngine(target, "SIGKILL"),
  "engine crashes": (target): void => void signalEngine(target, "SIGSEGV"),

  "engine stopped for a while": async (target): Promise<void> => {
    const engine = signalEngine(target, "SIGSTOP");
    if (engine === undefined) return;
    await delay(STOPPED_MS);
    if (engines(target.pid).includes(engine)) Deno.kill(engine, "SIGCONT");
  },

  "socket files removed": ({ runtimeDir }): void => {
    for (
      const { name, isSocket } of [...Deno.readDirSync(runtimeDir)].map((one) => ({ ...one, isSocket: isInfer(one) }))
    ) {
      if (isSocket) Deno.removeSync(`${runtimeDir}/${name}`);
    }
  },

  "log folder gone": async ({ logDir }): Promise<void> => {
    await Deno.rename(logDir, `${logDir}.${crypto.randomUUID()}`);
    await delay(STOPPED_MS);
    await Deno.mkdir(logDir, { recursive: true });
  },

  "lines that end nowhere": async ({ runtimeDir }): Promise<void> => {
    const bytes = new Uint8Array(UNFINISHED_BYTES).fill(0x61);
    await Promise.all(Array.from({ length: UNFINISHED }, async () => {
      using client = await WireClient.connect(`${runtimeDir}/infer.sock`);
      await client.write(bytes).catch(() => {});
    }));
  },

  "blank lines": async ({ runtimeDir }): Promise<void> => {
    using client = await WireClient.connect(`${runtimeDir}/infer.sock`);
    await Promise.race([client.write("\n".repeat(BLANK_LINES)).catch(() => {}), delay(STOPPED_MS)]);
  },

  "connections by the hundred": async ({ runtimeDir }): Promise<void> => {
    const all = await Promise.allSettled(
      Array.from({ length: STORM }, () => WireClient.connect(`${runtimeDir}/infer.v2.sock`)),
    );
    for (const one of all) if (one.status === "fulfilled") one.value.close();
  },
};

function isInfer({ name }: Deno.DirEntry): boolean {
  return name.startsWith("infer.") && name.endsWith(".sock");
}
