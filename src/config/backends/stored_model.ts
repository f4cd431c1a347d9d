/**
 * Resolves model names: from the store's manifests, with suggestions for unknown names. Reads no blobs. Synchronous,
 * like the rest of the configuration.
 */
import { errorText } from "../../log/error_text.ts";
import { BUILT_INS } from "../../models/built_in.ts";
import { blobPath, isModelName, manifestPath } from "../../models/store/layout.ts";
import { manifestNames, type ModelSource, readManifest, spelledName } from "../../models/store/manifest.ts";
import { shownUrl, sourceOfUrl } from "../../models/transfer/reference.ts";
import { shardPath } from "../../models/file/shards.ts";
import { NO_STORE } from "../home.ts";
import type { DraftConfig } from "../options.ts";
import { editDistance } from "../setting/closest.ts";
import { typed } from "../setting/typed_command.ts";

export type NamedModel = Omit<DraftConfig, "source">;

/** Maximum edit distance of a suggestion, absolute and relative to the name's length. */
const MOST_DISTANCE = 3;
const MOST_DISTANCE_PART = 1 / 3;
/** Minimum length of a common substring for a suggestion. */
const LEAST_SHARED = 3;
/** Registries of models that were imported from this machine. */
const LOCAL_REGISTRIES: ReadonlySet<string> = new Set(["file", "ollama", "lmstudio"]);
const MOST_NAMES = 5;

/** Look up a name: its files; nothing if the store lacks it or cannot be read. */
export function storedModel(root: string | undefined, name: string): NamedModel | undefined {
  if (root === undefined || !isModelName(name)) return undefined;
  try {
    const spelled = spelledName(root, name);
    const manifest = readManifest(root, spelled);
    if (manifest === undefined) return undefined;
    if ("reason" in manifest) {
      const missing = `Cannot use model "${spelled}": manifest "${manifestPath(root, spelled)}": ${manifest.reason}`;
      return { modelName: spelled, missing };
    }
    const parts = manifest.parts.map(({ sha256 }) => ({ sha256, path: blobPath(root, sha256) }));
    const [first] = parts;
    if (first === undefined) return undefined;
    const base = { modelName: spelled, modelPath: first.path, stored: "name" } as const;
    return parts.length > 1 ? { ...base, parts } : { ...base, modelSha256: first.sha256 };
  } catch (error) {
    const cause = error instanceof Error ? error.cause ?? error : error;
    // Not permitted to look: left for another process to report.
    if (cause instanceof Deno.errors.NotCapable) return undefined;
    return { modelName: name, missing: errorText(error) };
  }
}

/**
 * Look up a name in the store that must come from a given URL.
 *
 * @returns Its files, or why it is a different model; nothing if the store lacks it or cannot use it.
 */
export function storedModelFrom(root: string, name: string, url: string): NamedModel | undefined {
  const stored = storedModel(root, name);
  // An unusable model can be fetched again.
  if (stored === undefined || stored.missing !== undefined) return undefined;
  const manifest = readManifest(root, stored.modelName);
  const source = manifest === undefined || "reason" in manifest ? null : manifest.source;
  if (isFrom(source, new URL(url))) return stored;
  const from = [source?.registry, source?.repo, source?.filename].filter((part) => part).join("/");
  return {
    modelName: name,
    missing:
      `Model "${name}" in the store is from ${from}, not from the configured "source_url" ${shownUrl(new URL(url))}; ` +
      'configure its "sha256", too, or choose another name',
  };
}

/** Whether a model comes from this URL. An imported one does, because the operator chose its name. */
function isFrom(source: ModelSource | null, url: URL): boolean {
  if (source === null || LOCAL_REGISTRIES.has(source.registry ?? "file")) return true;
  const other = sourceOfUrl(url);
  // Any file of a split model identifies it.
  const first = (file: string | null): string => shardPath(file ?? "", 1);
  return source.registry === other.registry && source.repo === other.repo &&
    first(source.filename) === first(other.filename) &&
    (source.revision === null || other.revision === null || source.revision === other.revision);
}

/** A model that was not found; `isFile`: it could have been a file path. */
export function missingModel(root: string | undefined, name: string, isFile: boolean): NamedModel {
  const what = isFile ? `There is no file "${name}", and no model of that name` : `There is no model "${name}"`;
  if (root === undefined) return { modelName: name, missing: `${what}. ${NO_STORE}` };
  const names = [...namesIn(root), ...Object.keys(BUILT_INS)];
  const near = names.map((one) => ({ one, far: editDistance(name.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, far }) => isNear(name, far) || shares(name, one))
    .sort((one, other) => one.far - other.far).map(({ one }) => `"${one}"`).slice(0, MOST_NAMES);
  const hint = near.length > 0
    ? `did you mean ${near.join(" or ")}?`
    : `there are ${names.slice(0, MOST_NAMES).map((one) => `"${one}"`).join(", ")}${
      names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ""
    };`;
  return {
    modelName: name,
    missing: `${what} in the store "${root}": ${hint} "${typed("models")}" lists them, "${typed("pull")}" and "${
      typed("import")
    }" add one`,
  };
}

function namesIn(root: string): string[] {
  try {
    return manifestNames(root);
  } catch {
    return []; // any error: suggestions are optional
  }
}

function isNear(name: string, far: number): boolean {
  return far <= Math.min(MOST_DISTANCE, name.length * MOST_DISTANCE_PART);
}

/** Whether one contains the other, such as `llama` in `llama-3.2-1b`. */
function shares(one: string, other: string): boolean {
  const [short = "", long = ""] = [one.toLowerCase(), other.toLowerCase()].sort((a, b) => a.length - b.length);
  return short.length >= LEAST_SHARED && long.includes(short);
}
