/** `inferd models`: what the store holds. */
import { bold, dim, yellow } from "@std/fmt/colors";
import { parseFlags } from "../config/flags.ts";
import type { StoreListing } from "../models/store.ts";
import type { Command } from "./command.ts";
import { openStore, size, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";

export const models: Command = {
  name: "models",
  usage: "models [--json] [FLAGS]",
  summary: "What the model store holds: names, sizes, hashes, and what is in use",
  settings: STORE_SETTINGS,
  flags: [{ flag: "--json", help: "the same as one JSON object" }],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, { settings: this.settings, booleans: ["json"], words: 0 });
    const { store } = await openStore(flags, machine);
    return await withStore(async () => {
      const listing = await store.list();
      console.log(flags.booleans.has("json") ? toJson(store.root, listing) : toText(store.root, listing));
      return 0;
    });
  },
};

function toJson(root: string, { models, loose, unfinished, broken }: StoreListing): string {
  return JSON.stringify({
    root,
    models: models.map((model) => ({
      name: model.name,
      sha256: model.sha256,
      size_bytes: model.sizeBytes,
      path: model.path,
      license: model.license,
      source: model.source,
      present: model.present,
      in_use: model.inUse,
    })),
    loose: loose.map(({ sha256, sizeBytes, inUse }) => ({ sha256, size_bytes: sizeBytes, in_use: inUse })),
    unfinished: unfinished.map(({ path, sizeBytes }) => ({ path, size_bytes: sizeBytes })),
    broken,
  });
}

function toText(root: string, { models, loose, unfinished, broken }: StoreListing): string {
  const rows = models.map(({ name, sha256, sizeBytes, present, inUse }) => [
    name,
    sizeBytes === null ? "?" : size(sizeBytes),
    `sha256:${sha256.slice(0, 12)}`,
    present ? inUse ? "in use" : "" : "missing",
  ]);
  for (const { sha256, sizeBytes, inUse } of loose) {
    rows.push([dim("(no name)"), size(sizeBytes), `sha256:${sha256.slice(0, 12)}`, inUse ? "in use" : "inferd gc"]);
  }
  for (const { path, sizeBytes } of unfinished) rows.push([dim("(unfinished)"), size(sizeBytes), path, ""]);
  const notes = broken.map(({ path, reason }) => yellow(`Cannot use "${path}": ${reason}`));
  if (rows.length === 0) return [`${bold(root)} has no models`, ...notes].join("\n");
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd());
  return [...lines, ...notes].join("\n");
}
