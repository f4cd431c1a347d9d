/** The model list: `/v1/models`, in a format for both OpenAI's and Anthropic's clients. */
import type { Context } from "hono";
import type { Capabilities } from "@inferd/client";
import { ApiError, invalid } from "../api_error.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";

/** The creation time is unknown, but clients expect a number. */
const CREATED = 0;

export async function listModels(context: Context, bridge: Bridge): Promise<Response> {
  const all = (await namedModels(bridge)).map(entry);
  const { data, more } = pageOf(all, context);
  const page = { has_more: more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  if (isAnthropic(context)) return context.json({ data: data.map(anthropicEntry), ...page });
  return context.json({
    object: "list",
    data,
    // llama-server's list of the same.
    models: data.map(({ id, capabilities: { vision, audio } }) => ({
      name: id,
      model: id,
      capabilities: vision || audio ? ["completion", "multimodal"] : ["completion"],
    })),
    ...page,
  });
}

function isAnthropic({ req }: Context): boolean {
  return req.header("anthropic-version") !== undefined;
}

/** A model as Anthropic's typed clients read it: capabilities are objects there, and unknown. */
function anthropicEntry(model: Entry): Record<string, unknown> {
  const { id, type, display_name, created_at, context_window = null } = model;
  return {
    id,
    type,
    display_name,
    created_at,
    max_input_tokens: context_window,
    max_tokens: context_window,
    capabilities: null,
    lifecycle: "active",
    line: null,
    deprecated_at: null,
    retires_at: null,
  };
}

/** Anthropic's lists are paginated; without its parameters there is a single page. */
function pageOf<Item extends { readonly id: string }>(
  all: readonly Item[],
  { req }: Context,
): { readonly data: readonly Item[]; readonly more: boolean } {
  const [limit, after, before] = [req.query("limit"), req.query("after_id"), req.query("before_id")];
  const count = limit === undefined ? all.length : Number(limit);
  if (!Number.isInteger(count) || count < 0 || limit === "0") throw invalid("limit", "must be a positive integer");
  const at = (id: string, param: string): number => {
    const index = all.findIndex((item) => item.id === id);
    if (index < 0) throw invalid(param, `names ${JSON.stringify(id)}, which is not a model of this server`);
    return index;
  };
  const rest = all.slice(
    after === undefined ? 0 : at(after, "after_id") + 1,
    before === undefined ? undefined : at(before, "before_id"),
  );
  const data = before === undefined ? rest.slice(0, count) : rest.slice(Math.max(0, rest.length - count));
  return { data, more: data.length < rest.length };
}

/** @throws {ApiError} 404 if there is no such model. */
export async function retrieveModel(context: Context, bridge: Bridge): Promise<Response> {
  const id = decoded(context.req.path.replace(/^(\/openai)?(\/v1)?\/models\//, ""));
  const models = await namedModels(bridge);
  const found = models.find((model) => model.id === id);
  if (found !== undefined) return context.json(isAnthropic(context) ? anthropicEntry(entry(found)) : entry(found));
  throw new ApiError(
    404,
    `The model ${JSON.stringify(id)} does not exist; available models: ${models.map((model) => model.id).join(", ")}`,
    { code: "model_not_found", param: "model" },
  );
}

/** Decode a path segment; a malformed one matches no model and is reported as sent. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

interface NamedModel {
  readonly id: string;
  /** The other names that lead to it, as llama-server tells them. */
  readonly aliases: readonly string[];
  readonly model: ServedModel;
}

async function namedModels({ link }: Bridge): Promise<NamedModel[]> {
  const models = await link.models();
  const find = (name: string): ServedModel | undefined =>
    models.find((model) => model.name === name || model.backends.some(({ backend }) => backend === name));
  const leading = [...link.aliases].flatMap(([id, name]) => {
    const model = find(name);
    return model === undefined ? [] : [{ id, model }];
  });
  return [...models.map((model) => ({ id: model.name, model })), ...leading].map(({ id, model }) => {
    const backends = model.backends.map(({ backend }) => backend);
    const others = leading.filter((alias) => alias.model === model).map((alias) => alias.id);
    return { id, model, aliases: [...new Set([model.name, ...backends, ...others])].filter((name) => name !== id) };
  });
}

/** llama-server's facts about a model. */
function metaOf({ contextTokens, modelFile: file }: Capabilities): Record<string, unknown> {
  const number = (key: string): unknown => file?.metadata[`${file.architecture}.${key}`];
  const meta = {
    ...(contextTokens ? { n_ctx: contextTokens } : {}),
    ...(file === undefined ? {} : {
      n_ctx_train: number("context_length"),
      n_embd: number("embedding_length"),
      n_params: file.parameters,
      size: file.sizeBytes,
    }),
  };
  return Object.keys(meta).length === 0 ? {} : { meta };
}

interface Entry extends Record<string, unknown> {
  readonly id: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
}

function entry({ id, aliases, model: { backends: [first] } }: NamedModel): Entry {
  return {
    id,
    aliases,
    // Models here have none.
    tags: [],
    object: "model",
    created: CREATED,
    owned_by: "inferd",
    type: "model",
    display_name: id,
    created_at: new Date(CREATED).toISOString(),
    // The second is vLLM's word.
    ...(first.contextTokens ? { context_window: first.contextTokens, max_model_len: first.contextTokens } : {}),
    ...metaOf(first),
    capabilities: {
      generate: first.v2,
      vision: first.vision,
      audio: first.audio,
      tools: first.tools,
      thinking: first.thinking,
      embed: first.embed,
      rerank: first.rerank === true,
    },
  };
}
