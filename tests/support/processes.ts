/** What the kernel says of processes that are not the tests' own. Linux only, but for `isRunning` and `assertEnds`. */
import { eventually } from "./waiting.ts";

/**
 * The processes that a process has started.
 *
 * @returns Their ids.
 */
export function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);
}

/** The words a process was started with. */
export function argumentsOf(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
}

/** A field of `/proc/PID/status`. */
export function statusOf(pid: number, field: string): string {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  const value = new RegExp(`^${field}:\\s*(.*)$`, "m").exec(text)?.[1];
  if (value === undefined) throw new Error(`No ${field} in the status of process ${pid}`);
  return value;
}

/** A field of `/proc/PID/status` that is an amount of memory, in KiB. */
export function kibOf(pid: number, field: "VmRSS" | "VmHWM" | "RssAnon" = "VmRSS"): number {
  return parseInt(statusOf(pid, field));
}

/** Whether a process still runs; one that nobody has buried yet does not. */
export function isRunning(pid: number): boolean {
  const { stdout } = new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)] }).outputSync();
  return !["", "Z"].includes(new TextDecoder().decode(stdout).trim().slice(0, 1));
}

/** Wait until none of these processes runs. */
export async function assertEnds(
  pids: readonly number[],
  options: { readonly patienceMs?: number } = {},
): Promise<void> {
  await eventually(`the end of the processes ${pids.join(", ")}`, () => !pids.some(isRunning), options);
}
