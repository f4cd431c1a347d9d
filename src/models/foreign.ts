/**
 * Finds models of Ollama and LM Studio on this machine. Reads names, sizes and Ollama's manifests; unreadable ones are
 * skipped.
 */
import { join } from "node:path";
import { isSha256 } from "./file/sha256.ts";
import type { ModelSource } from "./store/manifest.ts";
import { asModelName, nameOfModelFile } from "./transfer/reference.ts";
import { readShardName, shardPaths } from "./file/shards.ts";

const OLLAMA_MODEL = "application/vnd.ollama.image.model";
/** Real manifests have a few KiB. */
const MAX_MANIFEST_BYTES = 1024 * 1024;
const OLLAMA_REGISTRY = "registry.ollama.ai";

export interface ForeignPlaces {
  readonly home?: string | undefined;
  /** For `OLLAMA_MODELS`. */
  readonly env: (name: string) => string | undefined;
}

/** Another program's model; can be passed to `importFile`. */
export interface ForeignModel {
  readonly tool: "ollama" | "lmstudio";
  /** Name in that program: `llama3.2:1b`, `publisher/repo/file.gguf`. */
  readonly title: string;
  /** Suggested name in the store. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hex, if that program records it. */
  readonly sha256: string | undefined;
  readonly source: ModelSource;
}

function foreignFolders({ home, env }: ForeignPlaces): { readonly ollama?: string; readonly lmstudio?: string } {
  const own = env("OLLAMA_MODELS");
  const below = home ? { ollama: join(home, ".ollama", "models"), lmstudio: join(home, ".lmstudio", "models") } : {};
  return own ? { ...below, ollama: own } : below;
}

/**
 * Find other programs' models.
 *
 * @returns Ollama's, then LM Studio's, each sorted by title.
 */
export async function findForeignModels(places: ForeignPlaces): Promise<ForeignModel[]> {
  const { ollama, lmstudio } = foreignFolders(places);
  const byTitle = (one: ForeignModel, other: ForeignModel): number => one.title < other.title ? -1 : 1;
  return [...(await ollamaModels(ollama)).sort(byTitle), ...(await lmStudioModels(lmstudio)).sort(byTitle)];
}

/** `manifests/<registry>/<namespace>/<model>/<tag>` lists layers, `blobs/sha256-<hash>` holds them. */
async function ollamaModels(root: string | undefined): Promise<ForeignModel[]> {
  if (root === undefined) return [];
  const models: ForeignModel[] = [];
  for await (const parts of filesBelow(join(root, "manifests"), 4)) {
    const [registry, namespace, model, tag] = parts;
    if (registry === undefined || namespace === undefined || model === undefined || tag === undefined) continue;
    const sha256 = modelDigest(await readText(join(root, "manifests", ...parts)));
    if (sha256 === undefined) continue;
    const path = join(root, "blobs", `sha256-${sha256}`);
    const sizeBytes = await fileSize(path);
    if (sizeBytes === undefined) continue;
    const place = [registry === OLLAMA_REGISTRY ? "" : registry, namespace === "library" ? "" : namespace, model];
    const title = `${place.filter((part) => part !== "").join("/")}:${tag}`;
    const repo = `${namespace}/${model}`;
    const source = { registry: "ollama", repo, revision: tag, filename: `sha256-${sha256}` };
    models.push({ tool: "ollama", title, name: asModelName(title), path, sizeBytes, sha256, source });
  }
  return models;
}

/**
 * `<publisher>/<repo>/<file>.gguf`. Image projectors are skipped, and a split model is represented by its first file.
 */
async function lmStudioModels(root: string | undefined): Promise<ForeignModel[]> {
  if (root === undefined) return [];
  const models: ForeignModel[] = [];
  for await (const parts of filesBelow(root, 3)) {
    const [publisher, repo, filename] = parts;
    if (publisher === undefined || repo === undefined || filename === undefined) continue;
    if (!/\.gguf$/i.test(filename) || /^mmproj/i.test(filename)) continue;
    const path = join(root, ...parts);
    if ((readShardName(path)?.index ?? 1) !== 1) continue;
    const sizes = await Promise.all(shardPaths(path).map(fileSize));
    const sizeBytes = sizes.reduce((sum, size) => sum === undefined || size === undefined ? undefined : sum + size, 0);
    if (sizeBytes === undefined) continue;
    const source = { registry: "lmstudio", repo: `${publisher}/${repo}`, revision: null, filename };
    const name = nameOfModelFile(filename);
    models.push({ tool: "lmstudio", title: parts.join("/"), name, path, sizeBytes, sha256: undefined, source });
  }
  return models;
}

function modelDigest(manifest: string | undefined): string | undefined {
  try {
    const value: unknown = JSON.parse(manifest ?? "");
    const layers: unknown = (value as { readonly layers?: unknown } | null)?.layers;
    if (!Array.isArray(layers)) return undefined;
    for (const layer of layers as readonly ({ readonly mediaType?: unknown; readonly digest?: unknown } | null)[]) {
      if (layer?.mediaType !== OLLAMA_MODEL || typeof layer.digest !== "string") continue;
      const sha256 = layer.digest.replace(/^sha256:/, "");
      return isSha256(sha256) ? sha256 : undefined;
    }
  } catch {
    // Not a manifest.
  }
  return undefined;
}

/** Paths of all entries at exactly this depth. */
async function* filesBelow(dir: string, depth: number): AsyncGenerator<string[]> {
  let names: string[] = [];
  try {
    names = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
  } catch {
    return;
  }
  for (const name of names) {
    if (depth === 1) yield [name];
    else for await (const rest of filesBelow(join(dir, name), depth - 1)) yield [name, ...rest];
  }
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await Deno.stat(path);
    return isFile ? size : undefined;
  } catch {
    return undefined;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    // Opening a FIFO would block until there is a writer.
    const { isFile, size } = await Deno.stat(path);
    return isFile && size <= MAX_MANIFEST_BYTES ? await Deno.readTextFile(path) : undefined;
  } catch {
    return undefined;
  }
}
