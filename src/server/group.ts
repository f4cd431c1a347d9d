/** The group that owns the sockets: its number, and whether it can reach them. */
import { dirname } from "node:path";
import { errorText } from "../log/error_text.ts";

/** A group cannot own a file; the message has the reason, not the file. */
export class GroupError extends Error {
  override readonly name = "GroupError";
}

/**
 * @param group Its number or its name.
 * @throws {GroupError} If there is no such group, or names cannot be looked up.
 */
export function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  let text: string;
  try {
    text = Deno.readTextFileSync("/etc/group");
  } catch (error) {
    throw new GroupError(`the group "${group}" cannot be looked up: ${errorText(error)}`, { cause: error });
  }
  const gid = text.split("\n").map((line) => line.split(":")).find(([name]) => name === group)?.[2];
  if (gid === undefined) throw new GroupError(`there is no group "${group}"`);
  return Number(gid);
}

/**
 * Look for a folder on the way to a file that a group may not enter: its members cannot get to the file then, whatever
 * the file's own mode is. Folders that this process may not look at are passed over.
 *
 * @param path The file; it need not be there.
 * @returns The nearest such folder; undefined if there is none.
 */
export function closedFolder(path: string, gid: number): string | undefined {
  for (let folder = dirname(path);; folder = dirname(folder)) {
    if (!mayEnter(folder, gid)) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Sockets that their group cannot reach, by the folder that it may not enter. */
export function socketsBehindClosedFolders(
  group: string | undefined,
  listen: readonly { readonly socket: string }[],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  if (group === undefined) return found;
  let gid: number;
  try {
    gid = groupId(group);
  } catch (error) {
    if (!(error instanceof GroupError)) throw error;
    // It has no sockets.
    return found;
  }
  for (const { socket } of listen) {
    const folder = closedFolder(socket, gid);
    if (folder !== undefined) found.set(folder, [...found.get(folder) ?? [], socket]);
  }
  return found;
}

function mayEnter(folder: string, gid: number): boolean {
  if (Deno.permissions.querySync({ name: "read", path: folder }).state !== "granted") return true;
  try {
    const { mode, gid: owner } = Deno.statSync(folder);
    // Windows has no modes.
    if (mode === null) return true;
    return (mode & 0o001) !== 0 || (owner === gid && (mode & 0o010) !== 0);
  } catch {
    // A missing or inaccessible folder is reported when the socket is bound.
    return true;
  }
}
