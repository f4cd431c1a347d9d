/**
 * Models by name: what the store has, and what is said where it has none. Reads manifests, no blob. Synchronous, as the
 * rest of the configuration is.
 */
import { BUILT_INS } from "../../models/built_in.ts";
import { blobPath, isModelName, manifestPath } from "../../models/store/layout.ts";
import { manifestNames, type ModelSource, readManifest, spelledName } from "../../models/store/manifest.ts";
import { shownUrl, sourceOfUrl } from "../../models/transfer/reference.ts";
import { shardPath } from "../../models/file/shards.ts";
import { NO_STORE } from "../home.ts";
import type { LlamaBackendConfig } from "../options.ts";

/** What a name refers to in a configuration. */
export type NamedModel = Pick<
  LlamaBackendConfig,
  "modelName" | "modelPath" | "parts" | "modelSha256" | "stored" | "missing"
>;

/** A name further away than this many letters, or this part of them, is not suggested. */
const MOST_DISTANCE = 3;
const MOST_DISTANCE_PART = 1 / 3;
/** A shorter beginning is that of anything. */
const LEAST_SHARED = 3;
/** Registries of models that were on this machine already. */
const LOCAL_REGISTRIES: ReadonlySet<string> = new Set(["file", "ollama", "lmstudio"]);
/** So many names are told at most. */
const MOST_NAMES = 5;

/**
 * Look a name up in the store.
 *
 * @param root The store; nothing where no place is known.
 * @param name The model.
 * @returns Where its files are; nothing where the store has no such name or cannot be read.
 */
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
    // Not allowed to look: then it is somebody else's to say.
    if (cause instanceof Deno.errors.NotCapable) return undefined;
    return { modelName: name, missing: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Look a name up in the store that has to be from an address.
 *
 * @param root The store.
 * @param name The model.
 * @param url Where the configuration says that it is from.
 * @returns Where its files are, or why it is not this model; nothing where the store does not have it, or cannot use it.
 */
export function storedModelFrom(root: string, name: string, url: string): NamedModel | undefined {
  const stored = storedModel(root, name);
  // What cannot be used can be fetched.
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

/** Whether a model is from an address. One that was imported was given its name by the operator, who knows. */
function isFrom(source: ModelSource | null, url: URL): boolean {
  if (source === null || LOCAL_REGISTRIES.has(source.registry ?? "file")) return true;
  const other = sourceOfUrl(url);
  // Of a split model any represents it.
  const first = (file: string | null): string => shardPath(file ?? "", 1);
  return source.registry === other.registry && source.repo === other.repo &&
    first(source.filename) === first(other.filename) &&
    (source.revision === null || other.revision === null || source.revision === other.revision);
}

/**
 * A model that is nowhere.
 *
 * @param root The store; nothing where no place is known.
 * @param name As it was written.
 * @param isFile Whether it could have been a file's path.
 * @returns The backend's model, which says why there is none.
 */
export function missingModel(root: string | undefined, name: string, isFile: boolean): NamedModel {
  const what = isFile ? `There is no file "${name}", and no model of that name` : `There is no model "${name}"`;
  if (root === undefined) return { modelName: name, missing: `${what}. ${NO_STORE}` };
  const names = [...namesIn(root), ...Object.keys(BUILT_INS)];
  const near = names.map((one) => ({ one, far: distance(name.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, far }) => isNear(name, far) || shares(name, one))
    .sort((one, other) => one.far - other.far).map(({ one }) => `"${one}"`).slice(0, MOST_NAMES);
  const hint = near.length > 0
    ? `did you mean ${near.join(" or ")}?`
    : `there are ${names.slice(0, MOST_NAMES).map((one) => `"${one}"`).join(", ")}${
      names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ""
    };`;
  return {
    modelName: name,
    missing:
      `${what} in the store "${root}": ${hint} "inferd models" lists them, "inferd pull" and "inferd import" add one`,
  };
}

function namesIn(root: string): string[] {
  try {
    return manifestNames(root);
  } catch {
    return []; // whatever it is, it does not help here
  }
}

function isNear(name: string, far: number): boolean {
  return far <= Math.min(MOST_DISTANCE, name.length * MOST_DISTANCE_PART);
}

/** Whether the one is in the other, as `llama` in `llama-3.2-1b`. */
function shares(one: string, other: string): boolean {
  const [short = "", long = ""] = [one.toLowerCase(), other.toLowerCase()].sort((a, b) => a.length - b.length);
  return short.length >= LEAST_SHARED && long.includes(short);
}

/** How many letters have to be changed, added or left out. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at++) {
    const next = [at];
    for (let index = 1; index <= other.length; index++) {
      const change = (row[index - 1] ?? 0) + (one[at - 1] === other[index - 1] ? 0 : 1);
      next.push(Math.min(change, (row[index] ?? 0) + 1, (next[index - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
