/** Ollama's embeddings: `/api/embed`, and the older `/api/embeddings`. */
import type { Context } from "hono";
import { z } from "zod";
import { MAX_EMBED_INPUTS } from "@inferd/client/protocol";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { Durations, keepAlive } from "./options.ts";

/** Options concern generation and do not affect embeddings. */
const anyOptions = z.record(z.string(), z.unknown()).nullish();

const body = z.looseObject({
  model: z.string().min(1),
  input: z.union([z.string(), z.array(z.string().min(1)).max(MAX_EMBED_INPUTS)]).default(""),
  dimensions: z.int().min(1).nullish(),
  truncate: z.boolean().nullish(),
  options: anyOptions,
  keep_alive: keepAlive,
});

const olderBody = z.looseObject({
  model: z.string().min(1),
  prompt: z.string().default(""),
  options: anyOptions,
  keep_alive: keepAlive,
});

/**
 * Answer `/api/embed`. A text that exceeds the context is refused whatever `truncate` says: the vector of a truncated
 * text would pass for that of the whole. Clients send an empty input to load the model.
 */
export async function embed(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const model = await bridge.link.model(asked.model, "embed");
  if (asked.input.length === 0) return context.json({ model: asked.model, embeddings: [] });
  const times = new Durations();
  const { embeddings, usage } = await bridge.embed([asked.input].flat(), {
    api: "ollama",
    model,
    dimensions: asked.dimensions ?? undefined,
    signal: context.req.raw.signal,
  });
  const { total_duration, load_duration, prompt_eval_count } = times.fields({ ...usage, completionTokens: 0 });
  return context.json({ model: asked.model, embeddings, total_duration, load_duration, prompt_eval_count });
}

/** `/api/embeddings`. */
export async function embeddings(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, olderBody);
  const model = await bridge.link.model(asked.model, "embed");
  if (asked.prompt === "") return context.json({ embedding: [] });
  const { signal } = context.req.raw;
  const result = await bridge.embed([asked.prompt], { api: "ollama", model, signal });
  return context.json({ embedding: result.embeddings[0] });
}
