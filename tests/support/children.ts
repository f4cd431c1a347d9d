/**
 * The processes that a process has started. Linux only.
 *
 * @returns Their ids.
 */
export function childrenOf(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);
}
