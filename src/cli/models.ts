/** `inferd models`: lists the models in the store. */
import { BUILT_INS } from "../models/built_in.ts";
import { bold, dim, yellow } from "@std/fmt/colors";
import type { StoreListing } from "../models/store.ts";
import { type Command, parseCommand } from "./command.ts";
import { was } from "./gc.ts";
import { openStore, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { aligned, print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

export const models: Command = {
  name: "models",
  usage: "models [--json] [FLAGS]",
  summary: "List the models in the store: names, sizes, hashes, and which are in use",
  settings: STORE_SETTINGS,
  flags: [{ flag: "--json", help: "print the list as one JSON object" }],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 0);
    const { store } = await openStore(flags, machine);
    return await withStore(async () => {
      const listing = await store.list();
      print(flags.booleans.has("json") ? toJson(store.root, listing) : toText(store.root, listing));
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
      ...(model.parts.length === 1 ? {} : {
        shards: model.parts.map(({ sha256, sizeBytes, path }) => ({ sha256, size_bytes: sizeBytes, path })),
      }),
      license: model.license,
      source: model.source,
      present: model.present,
      in_use: model.inUse,
    })),
    loose: loose.map(({ sha256, sizeBytes, inUse, formerName }) => ({
      sha256,
      size_bytes: sizeBytes,
      in_use: inUse,
      ...(formerName === undefined ? {} : { former_name: formerName.name }),
    })),
    unfinished: unfinished.map(({ path, sizeBytes, name, totalBytes }) => ({
      path,
      size_bytes: sizeBytes,
      ...(name === undefined ? {} : { name }),
      ...(totalBytes === undefined ? {} : { total_bytes: totalBytes }),
    })),
    broken,
  });
}

function toText(root: string, { models, loose, unfinished, broken }: StoreListing): string {
  const rows = models.map(({ name, sha256, sizeBytes, present, inUse, parts }) => [
    name,
    sizeBytes === null ? "?" : size(sizeBytes),
    `sha256:${sha256.slice(0, 12)}`,
    [
      ...parts.length > 1 ? [`${parts.length} files`] : [],
      ...present ? inUse ? ["in use"] : [] : ["missing"],
    ].join(", "),
  ]);
  for (const blob of loose) {
    const state = blob.inUse ? "in use" : `"${typed("gc")}" removes it`;
    rows.push([dim("(no name)"), size(blob.sizeBytes), `sha256:${blob.sha256.slice(0, 12)}`, `${state}${was(blob)}`]);
  }
  for (const { name, sizeBytes, totalBytes } of unfinished) {
    const of = totalBytes === undefined ? "" : ` of ${size(totalBytes)}`;
    rows.push([name ?? "?", `${size(sizeBytes)}${of}`, dim("(unfinished)"), ""]);
  }
  const notes = broken.map(({ path, reason }) => yellow(`Cannot use "${path}": ${reason}`));
  if (rows.length === 0) {
    const next = `"${typed("pull hf:OWNER/REPO")}" downloads one, "${
      typed("import FILE")
    }" takes one from this machine`;
    const builtIn = Object.keys(BUILT_INS).map((name) => `"${name}"`).join(", ");
    return [`${bold(root)} has no models; ${next}. Built in are ${builtIn}`, ...notes].join("\n");
  }
  return [...aligned(rows), ...notes].join("\n");
}
