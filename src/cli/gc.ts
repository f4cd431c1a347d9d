/** `inferd gc`: removes what no name refers to. */
import type { GcItem, GcResult, LooseBlob } from "../models/store.ts";
import { type Command, parseCommand } from "./command.ts";
import { openStore, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

export const gc: Command = {
  name: "gc",
  usage: "gc [--dry-run] [--all] [FLAGS]",
  summary: "Remove blobs that no name refers to, and downloads and quarantined files older than a week",
  settings: STORE_SETTINGS,
  flags: [
    { flag: "--dry-run", help: "only list what would be removed" },
    { flag: "--all", help: "also remove models whose name was given to another model within the last week" },
    { flag: "--json", help: "print the result as JSON" },
  ],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const dryRun = flags.booleans.has("dry-run");
    const { store } = await openStore(flags, machine);
    return await withStore(async () => {
      const result = await store.gc({ dryRun, replaced: flags.booleans.has("all") });
      print(flags.booleans.has("json") ? toJson(result, dryRun) : toText(result, dryRun));
      return 0;
    });
  },
};

function toJson({ items, kept, freedBytes, inUse }: GcResult, dryRun: boolean): string {
  return JSON.stringify({
    items: items.map(({ kind, path, sizeBytes, formerName }) => ({
      kind,
      path,
      size_bytes: sizeBytes,
      ...(formerName === undefined ? {} : { former_name: formerName.name }),
    })),
    kept: kept.map(({ sha256, path, sizeBytes, formerName }) => ({
      sha256,
      path,
      size_bytes: sizeBytes,
      former_name: formerName?.name,
    })),
    freed_bytes: freedBytes,
    in_use: inUse,
    dry_run: dryRun,
  });
}

function toText({ items, kept, freedBytes }: GcResult, dryRun: boolean): string {
  const lines = items.map((item) => `${item.kind}  ${size(item.sizeBytes)}  ${item.path}${was(item)}`);
  for (const blob of kept) lines.push(`kept  ${size(blob.sizeBytes)}  ${blob.path}${was(blob)}`);
  if (kept.length > 0) {
    lines.push(
      `Kept files lost their name to another model within the last week; "${typed("gc --all")}" removes them now`,
    );
  }
  return [...lines, `${size(freedBytes)} ${dryRun ? "would be freed" : "freed"}`].join("\n");
}

export function was({ formerName }: Pick<GcItem | LooseBlob, "formerName">): string {
  if (formerName === undefined) return "";
  return `  (was "${formerName.name}" until ${
    new Date(formerName.endedAt).toISOString().slice(0, 16).replace("T", " ")
  } UTC)`;
}
