/** Checks write access without writing. */
import { dirname } from "node:path";
import { look } from "../../config/load.ts";

const WRITE_AND_ENTER = 0o3;

/** Why nothing can be created in a folder, which need not exist; undefined if no reason was found. */
export function whyNotWritable(path: string): string | undefined {
  const folder = nearestAbove(path);
  const info = look(folder);
  const what = folder === path ? "it" : `"${folder}"`;
  if (info === undefined) return undefined;
  if (!info.isDirectory && !info.isSymlink) return `${what} is not a folder`;
  if (isReadOnly(folder)) return `${what} is on a file system that is mounted read-only`;
  const [uid, mode] = [Deno.uid(), info.mode];
  // Group permissions are not evaluated: they may grant access.
  if (uid === null || uid === 0 || mode === null || info.isSymlink || (mode & 0o030) === 0o030) return undefined;
  const own = info.uid === uid ? mode >> 6 : mode;
  return (own & WRITE_AND_ENTER) === WRITE_AND_ENTER ? undefined : `this user may not write to ${what}`;
}

/** The folder, or its nearest existing ancestor. */
export function nearestAbove(path: string): string {
  let found = path;
  while (look(found) === undefined && dirname(found) !== found) found = dirname(found);
  return found;
}

function isReadOnly(folder: string): boolean {
  if (Deno.build.os !== "linux") return false;
  let text: string;
  let real: string;
  try {
    text = Deno.readTextFileSync("/proc/self/mounts");
    real = Deno.realPathSync(folder);
  } catch {
    return false; // not visible
  }
  const mounts = text.split("\n").map((line) => line.split(" ")).filter(([, at = ""]) => {
    const place = unescaped(at);
    return place === "/" || real === place || real.startsWith(`${place}/`);
  });
  // Of mounts at the same place the last one is on top.
  const length = Math.max(...mounts.map(([, at = ""]) => unescaped(at).length));
  const [, , , options = ""] = mounts.findLast(([, at = ""]) => unescaped(at).length === length) ?? [];
  return options.split(",").includes("ro");
}

/** Decodes `\040` to a space, as the kernel escapes it. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
