/**
 * Resolves symbolic links in paths: Deno sometimes checks the permission for the file that is opened, not only for the
 * given name (`Deno.open` does, `Deno.openSync` does not).
 */
import { basename, dirname, join } from "node:path";

/** A path that resolves elsewhere. */
export interface LinkTarget {
  /** The resolved path. */
  readonly target: string;
  /** The existing part of the path; read permission on it is needed to resolve the link. */
  readonly followed: string;
}

/** Resolve an absolute path, even of a missing file; undefined if it has no link or may not be read. */
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
