/** The models that there are, as Ollama tells it: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`. */
import type { Context } from "hono";
import { z } from "zod";
import { ApiError } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";
import config from "../../../deno.json" with { type: "json" };

/** What is not known of a model, in the form that clients read. */
const UNKNOWN = { modified_at: new Date(0).toISOString(), size: 0, digest: "" } as const;

/**
 * The models that can be asked.
 *
 * @param context The request.
 * @param bridge Knows them.
 */
export async function tags(context: Context, { link }: Bridge): Promise<Response> {
  return context.json({ models: (await link.models()).map(entry) });
}

/**
 * The models that are loaded: one that is asleep can be asked, and is not among them.
 *
 * @param context The request.
 * @param bridge Knows them.
 */
export async function ps(context: Context, { link }: Bridge): Promise<Response> {
  const awake = (await link.models()).filter(({ backends }) =>
    backends.some(({ state = "ready" }) => state === "ready")
  );
  const loaded = awake.map((model) => ({ ...entry(model), expires_at: null, size_vram: 0 }));
  return context.json({ models: loaded });
}

/** Go's client sends every field, `name` empty beside `model`. */
const showBody = z.object({ model: z.string().nullish(), name: z.string().nullish() });

/**
 * What one model can do.
 *
 * @param context The request.
 * @param bridge Knows it.
 * @throws {ApiError} 404 if there is none of that name.
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

/** The program's version. */
export function version(context: Context): Promise<Response> {
  return Promise.resolve(context.json({ version: config.version }));
}

function entry(model: ServedModel): Record<string, unknown> {
  return { name: model.name, model: model.name, ...UNKNOWN, details: detailsOf(model) };
}

function detailsOf(_model: ServedModel): Record<string, unknown> {
  return { parent_model: "", format: "gguf", family: "", families: [], parameter_size: "", quantization_level: "" };
}
