/** `inferd import`: adds a local model file to the store, without a second copy where possible. */
import { basename, dirname, resolve } from "node:path";
import { quoted, typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { findForeignModels, type ForeignModel, type ForeignPlaces } from "../models/foreign.ts";
import { isBuiltIn } from "../models/built_in.ts";
import { backendOfModelfile, ModelfileError } from "../models/modelfile.ts";
import { type Command, parseCommand } from "./command.ts";
import { askToReplace, openStore, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { showPhases } from "./terminal/phases.ts";
import { print, remark } from "./terminal/output.ts";

export const importModel: Command = {
  name: "import",
  usage: "import FILE|TITLE [FLAGS]",
  summary: "Import a GGUF file, or a model of Ollama or LM Studio, into the store",
  settings: STORE_SETTINGS,
  flags: [
    { flag: "--name NAME", help: "name in the store (default: made from the file's name)" },
    { flag: "--replace", help: "replace the model that has this name" },
    { flag: "--list", help: "list the models that Ollama and LM Studio have on this machine" },
    {
      flag: "--modelfile FILE",
      help: "print the backend that Ollama's Modelfile describes, for the configuration file; imports nothing",
    },
    { flag: "--json", help: "print what was imported, or the list, as JSON" },
  ],
  takesFile: true,
  notes: ["Of a split model (NAME-00001-of-00003.gguf) any one file may be given; the others must be next to it."],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 1);
    const asJson = flags.booleans.has("json");
    const [word] = flags.rest;
    const list = flags.booleans.has("list");
    const modelfile = flags.strings.modelfile;
    if (modelfile !== undefined) {
      if (word !== undefined || list) throw new UsageError("Cannot combine --modelfile with a file, a title or --list");
      return await printBackend(modelfile, flags.strings.name, machine.env);
    }
    if (list === (word !== undefined)) throw new UsageError("Give a file, a title, or --list");
    if (isModelfile(word)) {
      throw new UsageError(
        `Cannot import "${word}": it is a Modelfile. See what it comes to: "${
          typed(`import --modelfile ${quoted(word)}`)
        }"`,
      );
    }
    const { store } = await openStore(flags, machine);
    return await withStore(async (signal, progress) => {
      const foreign = list || !exists(word ?? "") ? await findForeignModels(places(machine.env)) : [];
      if (list) return printForeign(foreign, asJson);
      const found = foreign.find(({ title }) => title === word);
      const path = found?.path ?? resolve(word ?? "");
      const name = flags.strings.name ?? found?.name;
      const blob = await store.importFile(path, {
        signal,
        name,
        sha256: found?.sha256,
        source: found?.source,
        replace: flags.booleans.has("replace"),
        onTaken: askToReplace(progress, signal),
        onPhase: showPhases(progress),
        onWait: () => progress.note("Another process works on the same model, waiting for it"),
      });
      progress.clear();
      const { how, sha256, sizeBytes } = blob;
      if (asJson) {
        print(JSON.stringify({ name: blob.name, sha256, size_bytes: sizeBytes, path: blob.path, how }));
      } else print(`${blob.name}  ${size(sizeBytes)}  sha256:${sha256}  (${how})`);
      return 0;
    });
  },
};

/** Whether a word names a file that is called as Ollama calls them. */
function isModelfile(word: string | undefined): word is string {
  return word !== undefined && /(^|[./])modelfile$/i.test(word) && exists(word);
}

/** Print the backend configuration equivalent to a Modelfile on stdout, and what was left out on stderr. */
async function printBackend(
  path: string,
  name: string | undefined,
  env: (name: string) => string | undefined,
): Promise<number> {
  const text = await readModelfile(path);
  const foreign = await findForeignModels(places(env));
  const folder = dirname(resolve(path));
  const model = (from: string): { path: string } | { name: string } | undefined => {
    const found = foreign.find(({ title }) => title === from || title === `${from}:latest`);
    if (found !== undefined) return { path: found.path };
    if (exists(resolve(folder, from))) return { path: resolve(folder, from) };
    return isBuiltIn(from) ? { name: from } : undefined;
  };
  const called = name ?? basename(folder);
  try {
    const { backend, left } = backendOfModelfile(text, called, { model, place: (one) => resolve(folder, one) });
    for (const line of left) remark(line);
    print(JSON.stringify({ backends: [backend] }, null, 2));
    return 0;
  } catch (error) {
    if (error instanceof ModelfileError) throw new UsageError(`Cannot use "${path}": ${error.message}`);
    throw error;
  }
}

async function readModelfile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "there is no such file" : String(error);
    throw new UsageError(`Cannot read "${path}": ${reason}`);
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // the import will report it
  }
}

function places(env: (name: string) => string | undefined): ForeignPlaces {
  return { home: env("HOME") || env("USERPROFILE"), env };
}

function printForeign(models: readonly ForeignModel[], asJson: boolean): number {
  if (asJson) {
    print(JSON.stringify(models.map(({ sizeBytes, ...model }) => ({ ...model, size_bytes: sizeBytes }))));
  } else if (models.length === 0) print("No models of Ollama or LM Studio were found");
  for (const { tool, title, sizeBytes } of asJson ? [] : models) {
    print(`${title}  ${size(sizeBytes)}  (${tool})`);
  }
  return 0;
}
