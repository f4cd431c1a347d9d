/** `inferd rm`: removes a model from the store. */
import { UsageError } from "../config/setting/usage_error.ts";
import type { BlobOutcome } from "../models/store.ts";
import { type Command, parseCommand } from "./command.ts";
import { openStore, STORE_EXITS, STORE_SETTINGS, withModel, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

/** Messages about blobs that remain. */
const REST: Readonly<Record<BlobOutcome, string>> = {
  removed: "",
  referenced: "; another model has the same file, which stays",
  in_use: `; a daemon began to serve it, so its file stays until "${typed("gc")}"`,
  absent: "; its file was not there",
};

export const rm: Command = {
  name: "rm",
  usage: "rm NAME... [FLAGS]",
  summary: "Remove models from the store; a model that a daemon serves stays",
  settings: STORE_SETTINGS,
  flags: [],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env);
    if (flags.rest.length === 0) {
      throw new UsageError(`Name a model, as in "${typed("rm NAME")}"; "${typed("models")}" lists them`);
    }
    const { store } = await openStore(flags, machine);
    return await withStore(async () => {
      for (const name of flags.rest) {
        const { blob, freedBytes, ...removed } = await withModel(name, store, () => store.remove(name));
        const freed = freedBytes > 0 || blob === "removed" ? `, ${size(freedBytes)} freed` : "";
        print(`Removed ${removed.name}${freed}${REST[blob]}`);
      }
      return 0;
    });
  },
};
