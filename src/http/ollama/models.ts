/** Ollama's model lists: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`. */
import type { Context } from "hono";
import { z } from "zod";
import { ApiError } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";
import config from "../../../deno.json" with { type: "json" };

/** Placeholders for unknown properties, in the format that clients parse. */
const UNKNOWN = { modified_at: new Date(0).toISOString(), size: 0, digest: "" } as const;

/**
 * List available models.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function tags(context: Context, { link }: Bridge): Promise<Response> {
  return context.json({ models: (await link.models()).map(entry) });
}

/**
 * List loaded models; every available model counts as loaded.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function ps(context: Context, { link }: Bridge): Promise<Response> {
  const awake = (await link.models()).filter(({ backends }) =>
    backends.some(({ state = "ready" }) => state === "ready")
  );
  const loaded = awake.map((model) => ({ ...entry(model), expires_at: null, size_vram: 0 }));
  return context.json({ models: loaded });
}

/** Go's client sends every field, with `name` empty next to `model`. */
const showBody = z.object({ model: z.string().nullish(), name: z.string().nullish() });

/**
 * Describe a model.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 * @throws {ApiError} 404 if there is no such model.
 */
export async function show(context: Context, { link }: Bridge): Promise<Response> {
  const asked = await readBody(context, showBody);
  const name = (asked.model || asked.name || "").replace(/:latest$/, "");
  const wanted = link.aliases.get(name) ?? name;
  const found = (await link.models()).find((model) =>
    model.name === wanted || model.backends.some(({ backend }) => backend === wanted)
  );
  if (found === undefined) {
    throw new ApiError(404, `model ${JSON.stringify(name)} not found`, { code: "model_not_found" });
  }
  const [first] = found.backends;
  const able: readonly (readonly [string, boolean])[] = [
    ["completion", first.v2],
    ["tools", first.tools],
    ["thinking", first.thinking],
    ["vision", first.vision],
    ["audio", first.audio],
    ["embedding", first.embed],
  ];
  return context.json({
    details: detailsOf(found),
    model_info: {
      "general.architecture": "inferd",
      "general.basename": found.name,
      ...(first.contextTokens ? { "inferd.context_length": first.contextTokens } : {}),
    },
    capabilities: able.filter(([, can]) => can).map(([capability]) => capability),
    modified_at: UNKNOWN.modified_at,
  });
}

/** Respond with the program's version. */
export function version(context: Context): Promise<Response> {
  return Promise.resolve(context.json({ version: config.version }));
}

function entry(model: ServedModel): Record<string, unknown> {
  return { name: model.name, model: model.name, ...UNKNOWN, details: detailsOf(model) };
}

function detailsOf(_model: ServedModel): Record<string, unknown> {
  return { parent_model: "", format: "gguf", family: "", families: [], parameter_size: "", quantization_level: "" };
}
