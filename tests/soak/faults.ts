/** What goes wrong during a soak. Linux only: engines are found in `/proc`. */
import { delay } from "@std/async";
import { WireClient } from "../support/wire_client.ts";
import { pick } from "./clients.ts";

/** Whom it happens to. */
export interface Target {
  /** The process that was started. */
  readonly pid: number;
  /** The daemon's own, below it. */
  readonly daemonPid: number;
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
const SILENT = 30;
const SLOW = 100;
const SLOW_BYTES = 20;

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

/** Those that are the death of an engine. */
export const LETHAL: ReadonlySet<string> = new Set(["engine killed", "engine crashes"]);

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

  "clients that never read": async ({ runtimeDir }): Promise<void> => {
    const line = { messages: [{ role: "user", content: "Count." }], max_tokens: 900 };
    await together(SILENT, `${runtimeDir}/infer.sock`, async (client) => {
      await client.send(line);
      await delay(STOPPED_MS);
    });
  },

  "slow clients by the hundred": async ({ runtimeDir }): Promise<void> => {
    await together(SLOW, `${runtimeDir}/infer.v2.sock`, async (client) => {
      for (let sent = 0; sent < SLOW_BYTES; sent++) {
        await client.write("[");
        await delay(STOPPED_MS / SLOW_BYTES);
      }
    });
  },

  "no descriptors left": async ({ daemonPid }): Promise<void> => {
    const { descriptors } = usage(daemonPid);
    const before = /Max open files\s+(\d+)/.exec(readProc(daemonPid, "limits"))?.[1];
    if (before === undefined) return;
    await limitDescriptors(daemonPid, String(descriptors));
    try {
      await delay(STOPPED_MS);
    } finally {
      await limitDescriptors(daemonPid, before);
    }
  },

  "configuration read again": ({ pid }): void => Deno.kill(pid, "SIGHUP"),
};

/** Connections that end together; what was refused is left out. */
async function together(count: number, path: string, act: (client: WireClient) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, async () => {
    using client = await WireClient.connect(path);
    // A daemon that refuses or is ending closes.
    await act(client).catch(() => {});
  }));
}

async function limitDescriptors(pid: number, limit: string): Promise<void> {
  await new Deno.Command("prlimit", { args: ["--pid", String(pid), `--nofile=${limit}:`] }).output();
}

function isInfer({ name }: Deno.DirEntry): boolean {
  return name.startsWith("infer.") && name.endsWith(".sock");
}
