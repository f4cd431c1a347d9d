/** Cores that this process may use. */
import { kernelFiles } from "../libc/kernel_files.ts";

/** @returns The number of physical cores, within affinity and quota. */
export function usableCores(): number {
  const kernel = kernelFiles();
  const physical = kernel && physicalCores(kernel.text);
  return Math.max(1, Math.min(navigator.hardwareConcurrency, physical ?? Infinity));
}

/**
 * Cores without hyper-threads.
 *
 * @param read Text of one of the kernel's files, if there is one.
 * @returns `undefined` if the system does not tell.
 */
export function physicalCores(read: (path: string) => string | undefined): number | undefined {
  const root = "/sys/devices/system/cpu";
  const siblings = new Set<string>();
  // Such as "0-3,6".
  for (const range of read(`${root}/online`)?.trim().split(",") ?? []) {
    const [first = NaN, last = first] = range.split("-").map(Number);
    for (let cpu = first; cpu <= last; cpu++) {
      const threads = read(`${root}/cpu${cpu}/topology/thread_siblings_list`);
      if (threads === undefined) return undefined;
      siblings.add(threads.trim());
    }
  }
  return siblings.size > 0 ? siblings.size : undefined;
}
