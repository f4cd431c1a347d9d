/** `inferd pull`: downloads a model into the store, by reference, by URL, or by name from the configuration. */
import { localModels } from "../config/backends/draft.ts";
import type { DaemonOptions } from "../config/options.ts";
import { SETTINGS } from "../config/schema.ts";
import type { Machine } from "../config/resolve.ts";
import { typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { errorText } from "../log/error_text.ts";
import { type Access, parseHeader, readHuggingFaceToken } from "../models/transfer/access.ts";
import { chooseFile, parseRepository } from "../models/transfer/hub.ts";
import { type ModelReference, parseReference, urlOfSource } from "../models/transfer/reference.ts";
import { needRoom } from "../models/transfer/room.ts";
import { isModelName, ModelStoreError, type PullSpec, type Store } from "../models/store.ts";
import { type Command, parseCommand } from "./command.ts";
import { askToReplace, openStore, PROGRESS_MS, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";
import { size } from "./terminal/amounts.ts";
import { showPhases } from "./terminal/phases.ts";
import { print, remark } from "./terminal/output.ts";

export const pull: Command = {
  name: "pull",
  usage: "pull [NAME|hf:OWNER/REPO[:QUANT]|hf:OWNER/REPO/FILE.gguf[@REVISION]|URL] [FLAGS]",
  summary: "Download a model into the store, or every model of the configuration; resumable",
  settings: STORE_SETTINGS,
  flags: [
    { flag: "--url URL", help: "where to fetch NAME from: an https URL or an hf: reference" },
    { flag: "--sha256 HEX", help: "fail if the hash differs" },
    { flag: "--name NAME", help: "name in the store (default: made from the file's name)" },
    { flag: "--replace", help: "replace the model that has this name" },
    {
      flag: "--header HEADER",
      help: "HTTP header 'Name: value', not sent to other hosts; may be repeated",
      repeats: true,
    },
    { flag: "--json", help: "print what was pulled as JSON" },
  ],
  notes: [
    "Without a file the quantisation is chosen: Q4_K_M if it fits the memory of this machine, otherwise the largest that does.",
    "Gated Hugging Face repositories: the token is read from HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH or",
    "~/.cache/huggingface/token, and sent to Hugging Face (or HF_ENDPOINT) alone.",
    "Of a split model (NAME-00001-of-00003.gguf) any one file may be given; all are fetched.",
  ],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseCommand(this, args, machine.env, 1);
    const { store, options } = await openStore(flags, machine);
    const given = flags.rest[0];
    const access = readAccess(flags.lists.header ?? [], machine.env);
    const word = given === undefined ? undefined : await withFileChosen(given, access, machine);
    if (typeof word === "number") return word;
    const specs = await read(word, flags.strings, { options, store, env: machine.env });
    return await withStore(async (signal, progress) => {
      const pulled = [];
      for (const spec of specs) {
        const blob = await store.pull(spec, {
          signal,
          access,
          replace: flags.booleans.has("replace"),
          onTaken: askToReplace(progress, signal),
          progressMs: PROGRESS_MS,
          onPhase: showPhases(progress),
          onLength: needRoom(options.modelsHome ?? "", spec.name),
          onWait: () => progress.note(`Another process is pulling ${spec.name}, waiting for it`),
          onRetry: ({ attempt, attempts, reason, delayMs }) =>
            progress.note(`${reason}; trying again in ${Math.round(delayMs / 1000)} s (${attempt} of ${attempts})`),
        });
        progress.clear();
        pulled.push({ name: blob.name, sha256: blob.sha256, size_bytes: blob.sizeBytes, path: blob.path });
        if (!flags.booleans.has("json")) print(`${blob.name}  ${size(blob.sizeBytes)}  sha256:${blob.sha256}`);
      }
      if (flags.booleans.has("json")) print(JSON.stringify(pulled));
      return 0;
    }, "Interrupted; the next pull resumes it");
  },
};

/** Complete a reference to a repository with the file to use; an exit code if there is none, which has been printed. */
export async function withFileChosen(word: string, access: Access, machine: Machine): Promise<string | number> {
  const repository = parseRepository(word);
  if (repository === undefined) return word;
  let reference: string | undefined;
  const code = await withStore(async (signal) => {
    const chosen = await chooseFile(repository, machine.memoryBytes, { access, signal });
    remark(`${chosen.path}: ${chosen.quantisation ?? "the only file"}, ${size(chosen.sizeBytes)}`);
    reference = chosen.reference;
    return 0;
  });
  return reference ?? code;
}

/** Credentials from flags and environment. */
export function readAccess(headers: readonly string[], env: (name: string) => string | undefined): Access {
  try {
    return {
      headers: headers.map(parseHeader),
      huggingFace: readHuggingFaceToken(env),
      endpoint: env("HF_ENDPOINT") || undefined,
    };
  } catch (error) {
    throw error instanceof ModelStoreError ? new UsageError(error.message) : error;
  }
}

/** @throws {UsageError} If it cannot be one. */
export function readReference(word: string, env: (name: string) => string | undefined): ModelReference {
  try {
    return parseReference(word, env);
  } catch (error) {
    throw error instanceof ModelStoreError ? new UsageError(error.message) : error;
  }
}

async function read(
  word: string | undefined,
  strings: Readonly<Record<string, string>>,
  { options, store, env }: {
    readonly options: DaemonOptions;
    readonly store: Store;
    readonly env: (name: string) => string | undefined;
  },
): Promise<PullSpec[]> {
  const { url, name } = strings;
  const sha256 = strings.sha256 === undefined ? undefined : readSha256(strings.sha256);
  if (url !== undefined) {
    if (name !== undefined) throw new UsageError("Cannot combine --name with --url: write NAME before the flags");
    const reference = readReference(url, env);
    return [{ name: word ?? reference.name, url: reference.url, source: reference.source, sha256 }];
  }
  if (word !== undefined && !isModelName(word)) {
    const reference = readReference(word, env);
    return [{ name: name ?? reference.name, url: reference.url, source: reference.source, sha256 }];
  }
  if (sha256 !== undefined) throw new UsageError("Cannot use --sha256 without a URL or reference");
  const configured = localModels(options.backends).flatMap(({ modelName, modelSha256, source }): PullSpec[] => {
    if (source === undefined) return [];
    const { url, sizeBytes, license } = source;
    return [{ name: modelName, url, sha256: modelSha256, sizeBytes, license }];
  });
  const found = word === undefined ? configured : configured.filter(({ name }) => name === word);
  if (name !== undefined && found.length !== 1) throw new UsageError("Cannot use --name with more than one model");
  if (found.length > 0) return found.map((spec) => ({ ...spec, name: name ?? spec.name }));
  if (word === undefined) {
    throw new UsageError(
      `The configuration names no model to pull. Name one, as in "${typed("pull hf:OWNER/REPO")}"`,
    );
  }
  return [await readKnown(word, store, env)];
}

/** A model the store knows, and its source. */
async function readKnown(word: string, store: Store, env: (name: string) => string | undefined): Promise<PullSpec> {
  const known = await store.find(word).catch((error: unknown) => {
    if (error instanceof ModelStoreError) throw new UsageError(error.message);
    throw error;
  });
  const url = urlOfSource(known?.source ?? null, env);
  if (known !== undefined && url !== undefined) {
    return { name: known.name, url, sha256: known.sha256, source: known.source ?? undefined, license: known.license };
  }
  throw new UsageError(
    known === undefined
      ? `Neither the configuration nor the store has a model "${word}"; give its address with --url, or pull a ` +
        `reference, as in "${typed("pull hf:OWNER/REPO")}"`
      : `The store does not know an address of model "${known.name}"; give it with --url`,
  );
}

function readSha256(text: string): string {
  try {
    return SETTINGS.modelSha256.type.parse(text);
  } catch (error) {
    throw new UsageError(`--sha256 ${errorText(error)}, got ${JSON.stringify(text)}`);
  }
}
