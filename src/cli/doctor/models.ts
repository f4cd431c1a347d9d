/** Checks the backends' model files and the model store. */
import { dirname, join } from "node:path";
import { localModels } from "../../config/backends/draft.ts";
import { look } from "../../config/load.ts";
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { locate } from "../../daemon/models_at_boot.ts";
import { BUILT_INS, builtInModelFile, isBuiltIn } from "../../models/built_in.ts";
import {
  blobPath,
  blobsDir,
  manifestPath,
  partialDataPath,
  partialDir,
  quarantineDir,
} from "../../models/store/layout.ts";
import {
  type Manifest,
  type ManifestPart,
  type ModelSource,
  readManifest,
  readManifests,
} from "../../models/store/manifest.ts";
import { checkModel, ModelFileError, verifyModel } from "../../models/file/model_file.ts";
import { urlOfSource } from "../../models/transfer/reference.ts";
import { ModelStoreError, Store } from "../../models/store.ts";
import { type Finding, Findings } from "./finding.ts";
import type { ExpectedDownload } from "./places.ts";
import { whyNotWritable } from "./writable.ts";
import { quoted, typed } from "../../config/setting/typed_command.ts";

interface Looking {
  readonly options: DaemonOptions;
  readonly working: (what: string) => void;
  readonly findings: Findings;
}

type Located = Pick<LlamaBackendConfig, "modelPath" | "parts" | "modelSha256">;

/**
 * Check the model of every local backend: present, complete GGUF files, expected hash.
 *
 * @param working Called before slow steps.
 */
export async function checkModels(
  options: DaemonOptions,
  working: (what: string) => void,
): Promise<readonly Finding[]> {
  const findings = new Findings("models");
  for (const backend of localModels(options.backends)) await checkBackend(backend, { options, working, findings });
  return findings.elseOk("No backend has a model file");
}

async function checkBackend(backend: LlamaBackendConfig, looking: Looking): Promise<void> {
  const { name, modelName, missing } = backend;
  const { findings, options } = looking;
  if (missing !== undefined) {
    return findings.fail(`Backend "${name}": ${missing}`, "Name another model, or put this one into the store");
  }
  if (backend.modelPath === undefined && backend.source === undefined && !isBuiltIn(modelName)) {
    return findings.fail(`Backend "${name}": there is no built-in model "${modelName}"`, "Name another model");
  }
  const located = await locateFiles(backend, options);
  if (located === undefined) return sayMissing(backend, undefined, looking);
  await checkFiles(backend, located, looking);
}

/** The files of a backend's model, whether or not they exist; `undefined` if unknown. */
export async function locateFiles(
  backend: LlamaBackendConfig,
  options: DaemonOptions,
): Promise<Located | undefined> {
  const { modelName, modelPath, source, missing } = backend;
  if (missing !== undefined) return undefined;
  if (modelPath !== undefined || source !== undefined) return await locateModel(backend, options);
  if (!isBuiltIn(modelName)) return undefined;
  return {
    modelPath: builtInModelFile({ name: modelName, cacheDir: options.cacheDir ?? options.runtimeDir }),
    modelSha256: backend.modelSha256 ?? BUILT_INS[modelName].sha256,
  };
}

/** Locate a model; the shards of a split model may be known only to the store. */
async function locateModel(backend: LlamaBackendConfig, { modelsHome }: DaemonOptions): Promise<Located | undefined> {
  if (backend.source === undefined && backend.stored === undefined) return backend;
  if (modelsHome === undefined) return undefined;
  try {
    return await locate(new Store(modelsHome), backend);
  } catch (error) {
    if (error instanceof ModelStoreError && error.code === "not_found") return undefined;
    throw error;
  }
}

async function checkFiles(backend: LlamaBackendConfig, located: Located, looking: Looking): Promise<void> {
  const { name } = backend;
  const { findings, working } = looking;
  const { modelPath: path = "", parts, modelSha256: sha256 } = located;
  const absent = [path, ...parts?.map(({ path }) => path) ?? []].find((one) => look(one) === undefined);
  if (absent !== undefined) return sayMissing(backend, absent, looking);
  try {
    const files = await checkModel(path, parts?.map(({ path }) => path));
    const bytes = files.reduce((sum, { identity }) => sum + identity.size, 0);
    if (sha256 !== undefined) {
      working(`Hashing "${path}"`);
      await verifyModel(files, { sha256, parts: parts?.map(({ sha256 }) => sha256) });
    }
    const hashed = sha256 === undefined ? "no hash is configured" : `SHA-256 ${sha256.slice(0, 12)}… matches`;
    const size = files.length > 1 ? `${files.length} files, ${bytes} bytes` : `${bytes} bytes`;
    findings.ok(`Backend "${name}": "${path}", ${size}, ${hashed}`);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    findings.fail(`Backend "${name}": ${error.message}`, mend(backend, error.path, looking));
  }
}

/** The remedy for an unusable file. */
function mend(backend: LlamaBackendConfig, path: string, { options }: Looking): string {
  if (isStored(path, options)) return `"rm ${quoted(path)}" removes it, then ${again(backend, options)}`;
  return backend.modelPath === undefined
    ? "Install inferd again"
    : "Replace the file, or correct its path or hash in the configuration";
}

function isStored(path: string, { modelsHome }: DaemonOptions): boolean {
  return modelsHome !== undefined && path.startsWith(join(blobsDir(modelsHome), "/"));
}

/** Reports a missing file; without a path, its location is not known yet. */
function sayMissing(backend: LlamaBackendConfig, path: string | undefined, { findings, options }: Looking): void {
  const { name, modelName, source } = backend;
  if (path !== undefined && !isStored(path, options)) {
    const isToCome = isBuiltIn(modelName) && BUILT_INS[modelName].url.protocol !== "file:";
    if (backend.modelPath === undefined && isToCome) {
      return findings.warn(
        `Backend "${name}": the built-in model "${modelName}" is not downloaded yet`,
        "The first start downloads it, which needs the network",
      );
    }
    return findings.fail(`Backend "${name}": model "${path}": no such file`, "Correct the path, or put the file there");
  }
  const part = path === undefined ? undefined : partialBytes(options.modelsHome ?? "", path);
  const begun = part === undefined ? "" : `, ${part} bytes of it are downloaded`;
  const what = path === undefined
    ? `model "${modelName}" is not in the store`
    : `the blob of model "${modelName}" is missing: "${path}"`;
  const start = source !== undefined && options.autoPull ? "; so does the next start, because auto_pull is on" : "";
  findings.fail(`Backend "${name}": ${what}${begun}`, `${again(backend, options)}${start}`);
}

/** How to download a backend's model again. */
function again({ modelName, source }: LlamaBackendConfig, { modelsHome }: DaemonOptions): string {
  if (source !== undefined) return `"${typed(`pull ${modelName}`)}" downloads it`;
  const manifest = modelsHome === undefined ? undefined : readManifest(modelsHome, modelName);
  return getAgain(modelName, manifest === undefined || "reason" in manifest ? null : manifest.source);
}

/** How to download a model again from its source. */
function getAgain(name: string, source: ModelSource | null): string {
  if (urlOfSource(source, () => undefined) !== undefined) return `"${typed(`pull ${name}`)}" downloads it again`;
  const file = source?.filename ?? "FILE";
  return `"${typed(`import ${quoted(file)} --name ${quoted(name)}`)}" imports it again`;
}

/** Models that the next start would download, if their size is known, and the remaining bytes of each. */
export async function expectedDownloads(options: DaemonOptions): Promise<ExpectedDownload[]> {
  if (!options.autoPull) return [];
  const expected: ExpectedDownload[] = [];
  for (const backend of localModels(options.backends)) {
    if (backend.source?.sizeBytes === undefined) continue;
    const { modelPath } = await locateFiles(backend, options) ?? {};
    if (modelPath !== undefined && look(modelPath) !== undefined) continue;
    const here = modelPath === undefined ? 0 : partialBytes(options.modelsHome ?? "", modelPath) ?? 0;
    expected.push({ name: backend.modelName, bytes: backend.source.sizeBytes - here });
  }
  return expected;
}

/** Size of an interrupted download in bytes. */
function partialBytes(root: string, blob: string): number | undefined {
  const hash = dirname(blob).split(/[/\\]/).at(-1) ?? "";
  return look(partialDataPath(partialDir(root, hash)))?.size;
}

/** Check the model store: readable, and every manifest's blobs have the right size. */
export async function checkStore({ modelsHome }: DaemonOptions): Promise<readonly Finding[]> {
  const findings = new Findings("model store");
  if (modelsHome === undefined) {
    findings.warn("Neither HOME nor MODELS_HOME is set, so there is no folder for it", "Set MODELS_HOME to a folder");
    return findings.list;
  }
  const info = look(modelsHome);
  const why = whyNotWritable(modelsHome);
  if (why !== undefined) {
    findings.warn(
      `"${modelsHome}" cannot be written to, so no model can be downloaded or imported: ${why}`,
      "Let this user write there, or set MODELS_HOME to another folder",
    );
  }
  if (info === undefined) return findings.elseOk(`"${modelsHome}" does not exist yet; the first download creates it`);
  if (!info.isDirectory && !info.isSymlink) {
    findings.fail(`"${modelsHome}" is not a folder`, "Move it elsewhere, or set models_home to another folder");
    return findings.list;
  }
  const { good, broken } = await readManifests(modelsHome);
  for (const { name, path, reason } of broken) {
    findings.fail(`Manifest "${path}" cannot be used: ${reason}`, `"${typed(`rm ${name}`)}" removes it`);
  }
  let bytes = 0;
  for (const manifest of good) {
    for (const part of manifest.parts) bytes += checkBlob(manifest, part, { modelsHome, findings });
  }
  const aside = quarantineDir(modelsHome);
  const wrong = look(aside) === undefined ? 0 : [...Deno.readDirSync(aside)].length;
  if (wrong > 0) {
    findings.warn(
      `"${aside}" has ${count(wrong, "file")} whose hash was wrong`,
      "Remove them unless you want to inspect them",
    );
  }
  return findings.elseOk(`"${modelsHome}" has ${count(good.length, "model")}, ${bytes} bytes`);
}

/** Size of a model's blob; 0 if there is a problem with it. */
function checkBlob(
  { name, source }: Manifest,
  { sha256, sizeBytes }: ManifestPart,
  { modelsHome, findings }: { readonly modelsHome: string; readonly findings: Findings },
): number {
  const blob = blobPath(modelsHome, sha256);
  const size = look(blob)?.size;
  const help = `"${typed(`rm ${name}`)}" removes it, ${getAgain(name, source)}`;
  if (size === undefined) {
    const manifest = manifestPath(modelsHome, name);
    findings.fail(`Model "${name}": its blob is missing: "${blob}", which "${manifest}" names`, help);
  } else if (sizeBytes !== null && size !== sizeBytes) {
    findings.fail(`Model "${name}": "${blob}" has ${size} bytes, its manifest says ${sizeBytes}`, help);
  } else {
    return size;
  }
  return 0;
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}
