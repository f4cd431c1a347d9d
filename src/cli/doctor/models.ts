/** Looks at the model files of the backends, and at the model store. */
import { dirname, join } from "@std/path";
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { BUILT_INS, builtInModelFile, isBuiltIn } from "../../models/built_in.ts";
import { blobPath, blobsDir, manifestPath, partialDir, quarantineDir } from "../../models/layout.ts";
import { type Manifest, readManifests } from "../../models/manifest.ts";
import { checkModelFile, ModelFileError, verifyModelFile } from "../../models/model_file.ts";
import { type Finding, Findings, look } from "./finding.ts";

/** Where models may be. */
export interface ModelPlaces {
  /** The store's root. */
  readonly modelsHome: string;
  /** Whether missing models are downloaded at boot. */
  readonly autoPull: boolean;
}

/**
 * Look at the model of every local backend: there, a GGUF file, with the hash it should have.
 *
 * @param options What the daemon is told.
 * @param places Where models may be.
 * @param working Told what takes long.
 * @returns The findings.
 */
export async function checkModels(
  options: DaemonOptions,
  { places, working }: { readonly places: ModelPlaces; readonly working: (what: string) => void },
): Promise<readonly Finding[]> {
  const findings = new Findings("models");
  for (const backend of options.backends) {
    if (backend.kind === "llamacpp") await checkModel(backend, { options, places, working, findings });
  }
  return findings.elseOk("No backend has a model file");
}

/**
 * Where a backend's model is.
 *
 * @param backend The backend.
 * @param options What the daemon is told.
 * @returns The path, whether there is a file or not; `undefined` where the built-in model it names does not exist.
 */
export function modelPathOf(
  { modelName, modelPath }: LlamaBackendConfig,
  { cacheDir, runtimeDir }: DaemonOptions,
): string | undefined {
  if (modelPath !== undefined) return modelPath;
  return isBuiltIn(modelName) ? builtInModelFile({ name: modelName, cacheDir: cacheDir ?? runtimeDir }) : undefined;
}

async function checkModel(
  backend: LlamaBackendConfig,
  { options, places, working, findings }: {
    readonly options: DaemonOptions;
    readonly places: ModelPlaces;
    readonly working: (what: string) => void;
    readonly findings: Findings;
  },
): Promise<void> {
  const { name, modelName, modelPath } = backend;
  const builtIn = modelPath === undefined && isBuiltIn(modelName) ? modelName : undefined;
  const path = modelPathOf(backend, options);
  if (path === undefined) {
    findings.fail(`Backend "${name}": there is no built-in model "${modelName}"`, "Name another model");
    return;
  }
  const isStored = path.startsWith(join(blobsDir(places.modelsHome), "/"));
  if (look(path) === undefined) {
    if (builtIn !== undefined && BUILT_INS[builtIn].url.protocol !== "file:") {
      findings.warn(
        `Backend "${name}": the built-in model "${modelName}" is not here yet`,
        "The first start fetches it; that needs the network",
      );
    } else if (isStored) {
      const part = partialBytes(places.modelsHome, path);
      const begun = part === undefined ? "" : `, ${part} bytes of it were downloaded`;
      findings.fail(
        `Backend "${name}": the blob of model "${modelName}" is missing: "${path}"${begun}`,
        `"inferd pull ${modelName}" downloads it${
          places.autoPull ? "; so does the next start, as auto_pull is on" : ""
        }`,
      );
    } else {
      findings.fail(`Backend "${name}": model "${path}": no such file`, "Correct the path, or put the file there");
    }
    return;
  }
  const sha256 = backend.modelSha256 ?? (builtIn === undefined ? undefined : BUILT_INS[builtIn].sha256);
  try {
    const { size } = await checkModelFile(path);
    if (sha256 !== undefined) {
      working(`Hashing "${path}"`);
      await verifyModelFile(path, { sha256 });
    }
    const hashed = sha256 === undefined ? "no hash is configured" : `SHA-256 ${sha256.slice(0, 12)}… is right`;
    findings.ok(`Backend "${name}": "${path}", ${size} bytes, ${hashed}`);
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    findings.fail(
      `Backend "${name}": ${error.message}`,
      isStored
        ? `Remove "${path}", then "inferd pull ${modelName}"`
        : builtIn === undefined
        ? "Replace the file, or correct its path or hash in the configuration"
        : "Install inferd again",
    );
  }
}

/** What an interrupted download left, in bytes. */
function partialBytes(root: string, blob: string): number | undefined {
  const hash = dirname(blob).split(/[/\\]/).at(-1) ?? "";
  return look(join(partialDir(root, hash), "data.tmp"))?.size;
}

/**
 * Look at the model store: readable, and behind every manifest a blob of the right length.
 *
 * @param places Where it is.
 * @returns The findings.
 */
export async function checkStore({ modelsHome }: ModelPlaces): Promise<readonly Finding[]> {
  const findings = new Findings("model store");
  const info = look(modelsHome);
  if (info === undefined) return findings.elseOk(`"${modelsHome}" is not there yet; the first download makes it`);
  if (!info.isDirectory && !info.isSymlink) {
    findings.fail(`"${modelsHome}" is not a folder`, "Move it away, or set models_home to another folder");
    return findings.list;
  }
  const { good, broken } = await readManifests(modelsHome);
  for (const { name, path, reason } of broken) {
    findings.fail(`Manifest "${path}" cannot be used: ${reason}`, again(name));
  }
  let bytes = 0;
  for (const manifest of good) bytes += checkBlob(manifest, { modelsHome, findings });
  const aside = quarantineDir(modelsHome);
  const wrong = look(aside) === undefined ? 0 : [...Deno.readDirSync(aside)].length;
  if (wrong > 0) {
    findings.warn(
      `"${aside}" has ${count(wrong, "file")} whose hash was wrong`,
      "Remove them where nobody wants to look at them",
    );
  }
  return findings.elseOk(`"${modelsHome}" has ${count(good.length, "model")}, ${bytes} bytes`);
}

/** The length of the blob behind a manifest; 0 where something is wrong with it. */
function checkBlob(
  { name, sha256, sizeBytes }: Manifest,
  { modelsHome, findings }: { readonly modelsHome: string; readonly findings: Findings },
): number {
  const blob = blobPath(modelsHome, sha256);
  const size = look(blob)?.size;
  if (size === undefined) {
    const manifest = manifestPath(modelsHome, name);
    findings.fail(`Model "${name}": its blob is missing: "${blob}", which "${manifest}" names`, again(name));
  } else if (sizeBytes !== null && size !== sizeBytes) {
    findings.fail(`Model "${name}": "${blob}" has ${size} bytes, its manifest says ${sizeBytes}`, again(name));
  } else {
    return size;
  }
  return 0;
}

function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function again(name: string): string {
  return `"inferd rm ${name}" removes it, "inferd pull ${name}" gets it again`;
}
