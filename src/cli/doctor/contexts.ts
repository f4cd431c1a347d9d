/** Checks whether configured context sizes fit the model and the machine's memory. */
import type { DaemonOptions, LlamaBackendConfig } from "../../config/options.ts";
import { describeModel, type ModelDescription } from "../../models/file/description.ts";
import { GgufError, readGgufHead } from "../../models/file/gguf.ts";
import { fileSource } from "../../models/file/gguf_cursor.ts";
import { shardPaths } from "../../models/file/shards.ts";
import { size } from "../terminal/amounts.ts";
import { type Finding, Findings } from "./finding.ts";
import { locateFiles } from "./models.ts";

/** Share of the machine's memory that an engine may use. */
const MEMORY_SHARE = 0.9;
const CONTEXT_STEP = 256;

/**
 * Check the context size of every local backend that sets it. Missing or damaged files are left to the check of models.
 */
export async function checkContexts(
  options: DaemonOptions,
  memoryBytes: number,
): Promise<readonly Finding[]> {
  const findings = new Findings("context");
  for (const backend of options.backends) {
    if (backend.kind !== "llamacpp" || backend.contextTokens === undefined) continue;
    const { modelPath, parts } = await locateFiles(backend, options) ?? {};
    if (modelPath === undefined) continue;
    const model = await describe(parts?.map(({ path }) => path) ?? shardPaths(modelPath));
    if (model !== undefined) checkContext(backend, backend.contextTokens, { model, memoryBytes, findings });
  }
  return findings.elseOk("Every context fits its model and this machine's memory");
}

function checkContext(
  { name, cacheTypeK, cacheTypeV }: LlamaBackendConfig,
  wanted: number,
  { model, memoryBytes, findings }: {
    readonly model: ModelDescription;
    readonly memoryBytes: number;
    readonly findings: Findings;
  },
): void {
  const { contextTokens, weightBytes } = model;
  // Other cache types take at most half of that; the exact size is known to the engine.
  const isSmall = (cacheTypeK ?? "f16") !== "f16" || (cacheTypeV ?? "f16") !== "f16";
  const bytesPerToken = (model.bytesPerToken ?? 0) * (isSmall ? 0.25 : 1);
  const left = memoryBytes * MEMORY_SHARE - weightBytes;
  const fitting = bytesPerToken === 0 ? Infinity : Math.floor(left / bytesPerToken / CONTEXT_STEP) * CONTEXT_STEP;
  if (wanted > fitting) {
    const most = Math.min(fitting, contextTokens ?? Infinity);
    findings.fail(
      `Backend "${name}": a context of ${wanted} tokens takes ${size(wanted * bytesPerToken)} beside weights of ` +
        `${size(weightBytes)}, and this machine has ${size(memoryBytes)}`,
      most >= CONTEXT_STEP ? `Set n_ctx to ${most} or less` : "Use a smaller model",
    );
  } else if (contextTokens !== undefined && wanted > contextTokens) {
    findings.warn(
      `Backend "${name}": a context of ${wanted} tokens is longer than the ${contextTokens} that the model was made for`,
      `Set n_ctx to ${contextTokens} or less`,
    );
  }
}

async function describe(paths: readonly string[]): Promise<ModelDescription | undefined> {
  try {
    return describeModel(
      await Promise.all(paths.map(async (path) => {
        using file = await Deno.open(path);
        return await readGgufHead(fileSource(file, (await file.stat()).size));
      })),
    );
  } catch (error) {
    if (error instanceof GgufError || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
