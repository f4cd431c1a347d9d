/** `inferd cp` and `inferd rename`: give a model of the store another name. */
import { UsageError } from "../config/setting/usage_error.ts";
import { copyName } from "../models/store/copy_name.ts";
import { type Command, parseCommand } from "./command.ts";
import { askToReplace, openStore, STORE_EXITS, STORE_SETTINGS, withModel, withStore } from "./store.ts";
import { print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

export const cp: Command = naming("cp", {
  summary: "Give a model of the store a second name; its files are not copied",
  move: false,
});

export const rename: Command = naming("rename", { summary: "Rename a model of the store", move: true });

function naming(name: string, { summary, move }: { readonly summary: string; readonly move: boolean }): Command {
  return {
    name,
    usage: `${name} NAME NEW_NAME [FLAGS]`,
    summary,
    settings: STORE_SETTINGS,
    flags: [{ flag: "--replace", help: "replace the model that has this name" }],
    exits: STORE_EXITS,

    async run(args, { machine }): Promise<number> {
      const flags = parseCommand(this, args, machine.env, 2);
      const [from, to] = flags.rest;
      if (from === undefined || to === undefined) {
        throw new UsageError(
          `Give two names, as in "${typed(`${name} NAME NEW_NAME`)}"; "${typed("models")}" lists them`,
        );
      }
      const { store } = await openStore(flags, machine);
      return await withStore(async (signal, progress) => {
        const replace = flags.booleans.has("replace");
        const onTaken = askToReplace(progress, signal);
        const made = await withModel(
          from,
          store,
          () => copyName(store, { from, to, move }, { signal, replace, onTaken }),
        );
        print(move ? `Renamed ${from} to ${made}` : `${made} is the same model as ${from}`);
        return 0;
      });
    },
  };
}
