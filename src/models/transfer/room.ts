/** Checks that there is room for a download. */
import { statfsSync } from "node:fs";
import { format as formatBytes } from "@std/fmt/bytes";
import { ModelStoreError } from "../store/store_error.ts";

/**
 * Create a check that refuses a download larger than the free disk space.
 *
 * @param root The store.
 * @param what The model's name in messages.
 * @returns The check, called with the size.
 */
export function needRoom(root: string, what: string): (bytes: number) => void {
  return (bytes) => {
    const free = freeBytes(root);
    if (free === undefined || bytes <= free) return;
    const size = (count: number): string => formatBytes(count, { binary: true });
    throw new ModelStoreError(
      "disk_full",
      `Cannot pull "${what}": it takes ${size(bytes)}, and "${root}" has room for ${size(free)}. ` +
        "Remove what is not needed, or set MODELS_HOME to a folder on a larger disk",
    );
  };
}

/** Bytes free for this user on the store's disk; `undefined` if unknown. */
function freeBytes(root: string): number | undefined {
  // Queried first, because looking without the permission would prompt on a terminal.
  if (Deno.permissions.querySync({ name: "sys", kind: "statfs" }).state !== "granted") return undefined;
  try {
    const { bavail, bsize } = statfsSync(root);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
