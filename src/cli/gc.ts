/** `inferd gc`: clears away what no name refers to. */
import { parseFlags } from "../config/flags.ts";
import type { Command } from "./command.ts";
import { openStore, size, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";

export const gc: Command = {
  name: "gc",
  usage: "gc [--dry-run] [FLAGS]",
  summary: "Remove blobs without a name, and downloads and quarantined files older than a week",
  settings: STORE_SETTINGS,
  flags: [{ flag: "--dry-run", help: "only say what would go" }, { flag: "--json", help: "the same as JSON" }],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, { settings: this.settings, booleans: ["dry-run", "json"], words: 0 });
    const dryRun = flags.booleans.has("dry-run");
    const { store } = await openStore(flags, machine);
    return await withStore(async () => {
      const { items, freedBytes, inUse } = await store.gc({ dryRun });
      if (flags.booleans.has("json")) {
        const list = items.map(({ kind, path, sizeBytes }) => ({ kind, path, size_bytes: sizeBytes }));
        console.log(JSON.stringify({ items: list, freed_bytes: freedBytes, in_use: inUse, dry_run: dryRun }));
        return 0;
      }
      for (const { kind, path, sizeBytes } of items) console.log(`${kind}  ${size(sizeBytes)}  ${path}`);
      console.log(`${size(freedBytes)} ${dryRun ? "would be freed" : "freed"}`);
      return 0;
    });
  },
};
