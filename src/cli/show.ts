/** `inferd show`: describes a model. For a remote one only the header is read, by range requests. */
import { resolve } from "node:path";
import { bold, yellow } from "@std/fmt/colors";
import { DEFAULT_CONTEXT_TOKENS } from "../config/options.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { isModelFile } from "../config/setting/value_types.ts";
import { builtInModelFile, isBuiltIn } from "../models/built_in.ts";
import { describeModel, type ModelDescription } from "../models/file/description.ts";
import { GgufError, type GgufHead, readGgufHead } from "../models/file/gguf.ts";
import { fileSource } from "../models/file/gguf_cursor.ts";
import { checkModel, ModelFileError } from "../models/file/model_file.ts";
import { shardPaths } from "../models/file/shards.ts";
import { isModelName, ModelStoreError, type Store } from "../models/store.ts";
import { parseReference } from "../models/transfer/reference.ts";
import { remoteSource } from "../models/transfer/remote_source.ts";
import { type Command, type CommandContext, parseCommand } from "./command.ts";
import { readAccess, withFileChosen } from "./pull.ts";
import { noSuchModel, openStore, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { complain, print } from "./terminal/output.ts";
import { typed } from "../config/setting/typed_command.ts";

export const show: Command = {
  name: "show",
  usage: "show NAME|FILE|hf:OWNER/REPO[:QUANT]|hf:OWNER/REPO/FILE.gguf|URL [--json] [FLAGS]",
  summary: "Describe a model: architecture, size, quantisation, context, template, licence, memory it needs",
  settings: STORE_SETTINGS,
  flags: [{ flag: "--json", help: "print it as one JSON object" }],
  takesFile: true,
  notes: [
    "Of a remote model only the header is read. Support for tools and thinking is inferred from its chat template.",
  ],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 1);
    const [given] = flags.rest;
    if (given === undefined) {
      throw new UsageError(
        `Name a model, as in "${typed("show NAME")}"; "${typed("models")}" lists those of the store`,
      );
    }
    const { store, options } = await openStore(flags, machine);
    const word = await withFileChosen(given, readAccess([], machine.env), machine);
    if (typeof word === "number") return word;
    return await withStore(async (signal) => {
      const local = await findLocal(word, store, options.cacheDir ?? options.runtimeDir);
      try {
        const heads = local === undefined ? [await remoteHead(word, machine, signal)] : await localHeads(local.paths);
        const about = describeModel(heads);
        if (local !== undefined) await checkComplete(local.paths);
        const parts = local === undefined ? heads[0]?.split?.count ?? 1 : 1;
        const license = about.license ?? local?.license ?? undefined;
        const described = { ...about, ...license === undefined ? {} : { license } };
        print(flags.booleans.has("json") ? toJson(word, described) : toText(word, described, { machine, parts }));
      } catch (error) {
        if (!(error instanceof GgufError)) throw error;
        throw new ModelStoreError(error.fault, `Cannot read "${local?.paths[0] ?? word}": ${error.message}`);
      }
      return 0;
    });
  },
};

/** Files of a local model; undefined if it is remote. */
async function findLocal(
  word: string,
  store: Store,
  cacheDir: string,
): Promise<{ readonly paths: readonly string[]; readonly license: string | null } | undefined> {
  if (isBuiltIn(word)) return { paths: [builtInModelFile({ name: word, cacheDir })], license: null };
  if (isModelName(word)) {
    const found = await store.find(word);
    if (found !== undefined) return { paths: found.parts.map(({ path }) => path), license: found.license };
    if (!isModelFile(word)) throw await noSuchModel(word, store);
  }
  if (word.startsWith("hf:") || /^https?:\/\//.test(word)) return undefined;
  return { paths: shardPaths(resolve(word)), license: null };
}

/** Say what will keep a daemon from loading the files, whatever their headers promise. */
async function checkComplete(paths: readonly string[]): Promise<void> {
  try {
    await checkModel(paths[0] ?? "", paths);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    complain(`inferd: "${error.path}" cannot be loaded: ${error.reason}`);
  }
}

async function localHeads(paths: readonly string[]): Promise<GgufHead[]> {
  return await Promise.all(paths.map(async (path) => {
    try {
      using file = await Deno.open(path);
      return await readGgufHead(fileSource(file, (await file.stat()).size));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new ModelStoreError("not_found", `There is no file "${path}"`);
    }
  }));
}

async function remoteHead(word: string, { env }: CommandContext["machine"], signal: AbortSignal): Promise<GgufHead> {
  const { url } = parseReference(word, env);
  return await readGgufHead(await remoteSource(url, { access: readAccess([], env), signal }));
}

function toText(
  word: string,
  about: ModelDescription,
  { machine, parts }: { readonly machine: CommandContext["machine"]; readonly parts: number },
): string {
  const { bytesPerToken, contextTokens, weightBytes } = about;
  const context = Math.min(contextTokens ?? DEFAULT_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS);
  const cache = bytesPerToken === undefined ? 0 : bytesPerToken * context;
  const more = bytesPerToken === undefined ? "" : ` + ${size(cache)} for a context of ${context} tokens`;
  const total = machine.memoryBytes;
  const fits = weightBytes + cache <= total ? "" : yellow(`; this machine has ${size(total)}`);
  const rows: [string, string | undefined][] = [
    ["model", about.title === undefined || about.title === word ? word : `${word} (${about.title})`],
    ["architecture", about.architecture],
    ["parameters", countOf(about.parameters) + (parts > 1 ? ` in the first of ${parts} files` : "")],
    ["quantisation", about.quantisation],
    ["context", contextTokens === undefined ? undefined : `${contextTokens} tokens`],
    ["template", about.template ? "its own" : "none; a general one is used"],
    ["tools", about.tools ? "yes" : "no"],
    ["thinking", about.thinking ? "yes" : "no"],
    ["licence", about.license ?? "not stated"],
    ["memory", `${size(weightBytes)} for the weights${more}${fits}`],
  ];
  return rows.flatMap(([name, value]) => value === undefined ? [] : [`${bold(name.padEnd(12))} ${value}`]).join("\n");
}

function toJson(word: string, about: ModelDescription): string {
  return JSON.stringify({
    model: word,
    title: about.title ?? null,
    architecture: about.architecture ?? null,
    parameters: about.parameters,
    quantisation: about.quantisation ?? null,
    context_tokens: about.contextTokens ?? null,
    template: about.template,
    tools: about.tools,
    thinking: about.thinking,
    license: about.license ?? null,
    weight_bytes: about.weightBytes,
    cache_bytes_per_token: about.bytesPerToken ?? null,
  });
}

/** `1.24 billion`. */
function countOf(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} billion`;
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} million` : String(count);
}
