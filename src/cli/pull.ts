/** `inferd pull`: a model into the store, from a reference, a URL, or as the configuration names it. */
import { parseFlags } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import { SETTINGS, UsageError } from "../config/settings.ts";
import { parseReference } from "../models/reference.ts";
import { isModelName, ModelStoreError, type PullSpec } from "../models/store.ts";
import type { Command } from "./command.ts";
import { openStore, showPhases, size, STORE_EXITS, STORE_SETTINGS, withStore } from "./store.ts";

export const pull: Command = {
  name: "pull",
  usage: "pull [NAME|hf:OWNER/REPO/FILE.gguf[@REVISION]|URL] [FLAGS]",
  summary: "Download a model into the store, or all that the configuration names; goes on where it was broken off",
  settings: STORE_SETTINGS,
  flags: [
    { flag: "--url URL", help: "where NAME is fetched; an https URL or an hf: reference" },
    { flag: "--sha256 HEX", help: "refuse what hashes to anything else" },
    { flag: "--name NAME", help: "what the store calls it (default: made from the file's name)" },
    { flag: "--json", help: "what was pulled, as JSON" },
  ],
  exits: STORE_EXITS,

  async run(args, { machine }): Promise<number> {
    const flags = parseFlags(args, machine.env, {
      settings: this.settings,
      strings: ["url", "sha256", "name"],
      booleans: ["json"],
      words: 1,
    });
    const { store, options } = await openStore(flags, machine);
    const specs = read(flags.rest[0], flags.strings, { options, env: machine.env });
    return await withStore(async (signal, progress) => {
      const pulled = [];
      for (const spec of specs) {
        const blob = await store.pull(spec, {
          signal,
          onPhase: showPhases(progress),
          onWait: () => progress.note(`Another process is pulling ${spec.name}, waiting for it`),
          onRetry: ({ attempt, attempts, reason, delayMs }) =>
            progress.note(`${reason}; trying again in ${Math.round(delayMs / 1000)} s (${attempt} of ${attempts})`),
        });
        progress.clear();
        pulled.push({ name: blob.name, sha256: blob.sha256, size_bytes: blob.sizeBytes, path: blob.path });
        if (!flags.booleans.has("json")) console.log(`${blob.name}  ${size(blob.sizeBytes)}  sha256:${blob.sha256}`);
      }
      if (flags.booleans.has("json")) console.log(JSON.stringify(pulled));
      return 0;
    });
  },
};

/** What to pull. */
function read(
  word: string | undefined,
  strings: Readonly<Record<string, string>>,
  { options, env }: { readonly options: DaemonOptions; readonly env: (name: string) => string | undefined },
): PullSpec[] {
  const { url, name } = strings;
  const sha256 = strings.sha256 === undefined ? undefined : readSha256(strings.sha256);
  try {
    if (url !== undefined) {
      if (name !== undefined) throw new UsageError("--name does not go with --url: NAME stands before the flags");
      const reference = parseReference(url, env);
      return [{ name: word ?? reference.name, url: reference.url, source: reference.source, sha256 }];
    }
    if (word !== undefined && !isModelName(word)) {
      const reference = parseReference(word, env);
      return [{ name: name ?? reference.name, url: reference.url, source: reference.source, sha256 }];
    }
  } catch (error) {
    throw error instanceof ModelStoreError ? new UsageError(error.message) : error;
  }
  if (name !== undefined || sha256 !== undefined) {
    throw new UsageError("--name and --sha256 go with a URL or reference");
  }
  const configured = options.backends.flatMap((backend): PullSpec[] => {
    if (backend.kind !== "llamacpp" || backend.source === undefined) return [];
    const { url, sizeBytes, license } = backend.source;
    return [{ name: backend.modelName, url, sha256: backend.modelSha256, sizeBytes, license }];
  });
  if (word === undefined && configured.length > 0) return configured;
  const found = configured.filter(({ name }) => name === word);
  if (found.length > 0) return found;
  throw new UsageError(
    word === undefined
      ? "The configuration names no model to pull; name one, as in inferd pull hf:owner/repo/file.gguf"
      : `The configuration names no model "${word}"; where it is fetched can be given with --url`,
  );
}

function readSha256(text: string): string {
  try {
    return SETTINGS.modelSha256.parse(text);
  } catch (error) {
    throw new UsageError(`--sha256 ${error instanceof Error ? error.message : error}, got ${JSON.stringify(text)}`);
  }
}
