/**
 * Where paths lead that have symbolic links: Deno sometimes asks for what is opened, not only for the name that was
 * given (`Deno.open` does, `Deno.openSync` does not).
 */
import { basename, dirname, join } from "@std/path";

/** A path that leads elsewhere. */
export interface LinkTarget {
  /** What it leads to. */
  readonly target: string;
  /** What exists of the path; only who may read it finds the target. */
  readonly followed: string;
}

/**
 * Follow a path, also of a file that does not exist yet.
 *
 * @param path The path, absolute.
 * @returns Absent where it has no link, or where this process may not look.
 */
export function linkTarget(path: string): LinkTarget | undefined {
  const missing: string[] = [];
  for (let followed = path;; followed = dirname(followed)) {
    try {
      const target = join(Deno.realPathSync(followed), ...missing);
      return target === path ? undefined : { target, followed };
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || dirname(followed) === followed) return undefined;
      missing.unshift(basename(followed));
    }
  }
}
