/** The activity log as it lies on the disk. */
import { eventually } from "./waiting.ts";

/** One record; `t`, `level`, `component` and `msg` are in every one. */
export type FileRecord = Readonly<Record<string, unknown>>;

/** The records of one file, each line checked to be one. */
export function recordsIn(path: string): FileRecord[] {
  const text = Deno.readTextFileSync(path);
  if (!text.endsWith("\n")) throw new Error(`"${path}" ends in the middle of a line`);
  return text.slice(0, -1).split("\n").map((line) => {
    const record: FileRecord = JSON.parse(line);
    const { t, level, component, msg } = record;
    if (Object.keys(record).slice(0, 4).join() !== "t,level,component,msg") throw new Error(`No record: ${line}`);
    if (typeof t !== "string" || new Date(t).toISOString() !== t) throw new Error(`Not a time: ${line}`);
    for (const text of [level, component, msg]) if (typeof text !== "string") throw new Error(`No record: ${line}`);
    return record;
  });
}

/**
 * Resolves when a file has a record of this kind; there is no event for what another process writes.
 *
 * @param fits Whether a record of this kind is the one that is waited for.
 * @param between Done before each look.
 */
export async function untilLogged(
  path: string,
  msg: string,
  { fits = () => true, between }: {
    readonly fits?: (record: FileRecord) => boolean;
    readonly between?: () => Promise<void>;
  } = {},
): Promise<FileRecord> {
  return await eventually(`"${msg}" in "${path}"`, async () => {
    await between?.();
    const text = await Deno.readTextFile(path).catch(() => "");
    const lines = text.split("\n").slice(0, -1).filter((line) => line.includes(`"msg":"${msg}"`));
    return lines.map((line): FileRecord => JSON.parse(line)).find(fits);
  });
}
