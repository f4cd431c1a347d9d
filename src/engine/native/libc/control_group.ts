/** Memory that the control groups of this process (containers, services) leave to it. Linux, both versions. */

/** Limits above this mean unlimited. */
const NO_LIMIT = 2 ** 60;

interface Hierarchy {
  /** What its line in `/proc/self/cgroup` matches, capturing the group. */
  readonly line: RegExp;
  readonly root: string;
  readonly limit: string;
  readonly used: string;
  /** Names in `memory.stat` of page cache, which the kernel gives back. */
  readonly cache: readonly string[];
}

const HIERARCHIES: readonly Hierarchy[] = [
  {
    line: /^0::(.*)$/m,
    root: "/sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    cache: ["inactive_file", "active_file"],
  },
  {
    line: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m,
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
  },
];

/**
 * Memory available within the limits of this process's groups, page cache included.
 *
 * @param read Text of one of the kernel's files, if there is one.
 * @returns Bytes; `undefined` if nothing is limited.
 */
export function groupBytes(read: (path: string) => string | undefined): number | undefined {
  const groups = read("/proc/self/cgroup") ?? "";
  const left = HIERARCHIES.flatMap((hierarchy) => {
    const group = hierarchy.line.exec(groups)?.[1];
    return group === undefined ? [] : foldersOf(group).map((folder) => leftIn(hierarchy, folder, read));
  }).filter((bytes) => bytes !== undefined);
  return left.length === 0 ? undefined : Math.max(0, Math.min(...left));
}

/** A group and all that contain it. In a container, its own group is the root, whatever its name is outside. */
function foldersOf(group: string): string[] {
  const names = group.split("/").filter((name) => name !== "");
  return Array.from(
    { length: names.length + 1 },
    (_, depth) => names.slice(0, depth).map((name) => `/${name}`).join(""),
  );
}

function leftIn(
  { root, limit, used, cache }: Hierarchy,
  folder: string,
  read: (path: string) => string | undefined,
): number | undefined {
  const text = (name: string): string | undefined => read(`${root}${folder}/${name}`)?.trim();
  const most = Number(text(limit) ?? NaN);
  const now = Number(text(used) ?? NaN);
  if (!(most < NO_LIMIT) || Number.isNaN(now)) return undefined;
  const stat = new Map(text("memory.stat")?.split("\n").map((line) => line.split(" ") as [string, string]));
  return most - now + cache.reduce((sum, name) => sum + Number(stat.get(name) ?? 0), 0);
}
