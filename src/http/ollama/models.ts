/** Ollama's model lists: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`. */
import type { Context } from "hono";
import { z } from "zod";
import type { Capabilities, ModelFile } from "@inferd/client";
import { ApiError, invalid } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";
import type { ListedModel } from "../model_store.ts";
import config from "../../../deno.json" with { type: "json" };

/** Ollama's way to say that a model stays: a date that strictly typed clients can read. */
const NEVER = "2318-01-01T00:00:00Z";
/** The Ollama whose API this is; some clients refuse older ones. */
const OLLAMA_VERSION = "0.12.11";
/** Where the time is unknown, in the format that clients parse. */
const UNKNOWN_TIME = new Date(0).toISOString();

/** List available models: those that are served, and those of the store if clients may download into it. */
export async function tags(context: Context, bridge: Bridge): Promise<Response> {
  const served = await servedModels(bridge);
  const stored = await bridge.store?.list() ?? [];
  const others = stored.filter(({ name }) => !served.some((model) => model.name === name));
  return context.json({ models: [...served.map(entry), ...others.map(storedEntry)] });
}

/** List loaded models; every available model counts as loaded. */
export async function ps(context: Context, { link }: Bridge): Promise<Response> {
  const awake = (await link.models()).filter(({ backends }) =>
    backends.some(({ state = "ready" }) => state === "ready")
  );
  const loaded = awake.map((model) => ({
    ...entry(model),
    expires_at: NEVER,
    // Without an accelerator, nothing is in its memory.
    size_vram: sizeInVram(model),
    context_length: model.backends[0].contextTokens ?? 0,
  }));
  return context.json({ models: loaded });
}

/** Go's client sends every field, with `name` empty next to `model`. */
const showBody = z.object({ model: z.string().nullish(), name: z.string().nullish() });

/** @throws {ApiError} 404 if there is no such model, 400 if none is named. */
export async function show(context: Context, bridge: Bridge): Promise<Response> {
  const { link, store } = bridge;
  const asked = await readBody(context, showBody);
  const name = (asked.model || asked.name || "").replace(/:latest$/, "");
  if (name === "") throw invalid("model", "is missing");
  const wanted = link.aliases.get(name) ?? name;
  const found = (await servedModels(bridge)).find((model) =>
    model.name === wanted || model.backends.some(({ backend }) => backend === wanted)
  );
  if (found === undefined) {
    const stored = (await store?.list())?.find((model) => model.name === name);
    // It can do nothing before it is served.
    if (stored !== undefined) return context.json({ ...storedEntry(stored), model_info: {}, capabilities: [] });
    throw new ApiError(404, `model ${JSON.stringify(name)} not found`, { code: "model_not_found" });
  }
  const [first] = found.backends;
  const able: readonly (readonly [string, boolean])[] = [
    ["completion", first.v2],
    ["insert", first.infill === true],
    ["tools", first.tools],
    ["thinking", first.thinking],
    ["vision", first.vision],
    ["audio", first.audio],
    ["embedding", first.embed],
  ];
  return context.json({
    license: String(first.modelFile?.metadata["general.license"] ?? ""),
    modelfile: `FROM ${found.name}\n`,
    parameters: first.contextTokens ? `num_ctx                        ${first.contextTokens}` : "",
    template: templateOf(first),
    details: detailsOf(first.modelFile),
    model_info: infoOf(found),
    capabilities: able.filter(([, can]) => can).map(([capability]) => capability),
    modified_at: first.modelFile?.modifiedAt ?? UNKNOWN_TIME,
  });
}

/** A model's own template is Jinja. Clients tell by the variables of Ollama's what a model takes. */
function templateOf({ v2, tools, infill }: Capabilities): string {
  if (!v2) return "";
  return `${tools ? "{{ .Tools }}" : ""}{{ .Prompt }}${infill ? "{{ .Suffix }}" : ""}{{ .Response }}`;
}

/** Respond with the version of the API, and the program's own. */
export function version(context: Context): Promise<Response> {
  return Promise.resolve(context.json({ version: OLLAMA_VERSION, inferd: config.version }));
}

/** Models of the store can be listed without a daemon. */
async function servedModels({ link, store }: Bridge): Promise<readonly ServedModel[]> {
  return await link.models().catch((error) => {
    if (store === undefined) throw error;
    return [];
  });
}

function entry(model: ServedModel): Record<string, unknown> {
  const { modelFile: file } = model.backends[0];
  return {
    name: model.name,
    model: model.name,
    modified_at: file?.modifiedAt ?? UNKNOWN_TIME,
    size: file?.sizeBytes ?? 0,
    digest: file?.sha256 ?? "",
    details: detailsOf(file),
  };
}

function sizeInVram({ backends: [{ modelFile, gpuLayers }] }: ServedModel): number {
  if (modelFile === undefined || gpuLayers === 0) return 0;
  const layers = Number(modelFile.metadata[`${modelFile.architecture}.block_count`] ?? gpuLayers);
  return Math.round(modelFile.sizeBytes * Math.min(1, gpuLayers / layers));
}

function detailsOf(file: Partial<ModelFile> | undefined): Record<string, unknown> {
  const { architecture, parameters, quantisation = "" } = file ?? {};
  return {
    parent_model: "",
    format: file === undefined ? "" : "gguf",
    family: architecture ?? "",
    families: architecture === undefined ? [] : [architecture],
    parameter_size: parameters === undefined ? "" : shortNumber(parameters),
    quantization_level: quantisation,
  };
}

/** The header's scalars, as Ollama has them; of a server elsewhere, only the size of its context. */
function infoOf({ name, backends: [{ modelFile: file, contextTokens }] }: ServedModel): Record<string, unknown> {
  if (file !== undefined) return { ...file.metadata, "general.parameter_count": file.parameters };
  return {
    "general.architecture": "remote",
    "general.basename": name,
    ...(contextTokens ? { "remote.context_length": contextTokens } : {}),
  };
}

/** As Ollama has it: `8.0B`, `494.03M`. */
function shortNumber(count: number): string {
  if (count >= 1e9) return `${Number.isInteger(count / 1e9) ? count / 1e9 : (count / 1e9).toFixed(1)}B`;
  if (count >= 1e6) return `${Number.isInteger(count / 1e6) ? count / 1e6 : (count / 1e6).toFixed(2)}M`;
  return count >= 1e3 ? `${Math.round(count / 1e3)}K` : String(count);
}

function storedEntry({ name, sha256, sizeBytes, modifiedAt, quantisation }: ListedModel): Record<string, unknown> {
  return {
    name,
    model: name,
    modified_at: modifiedAt ?? UNKNOWN_TIME,
    size: sizeBytes,
    digest: sha256,
    details: detailsOf({ quantisation }),
  };
}
