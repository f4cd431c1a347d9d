/** llama-server's `/embedding`: a list of vectors per text, where OpenAI has one object for all. */
import type { Context } from "hono";
import { z } from "zod";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";

const text = z.string().min(1, "must not be empty");

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  content: z.union([text, z.array(text).min(1).max(2048)]),
  embd_normalize: z.literal(2, "must be 2: vectors have a length of 1").nullish(),
});

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function embedding(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const model = await bridge.link.model(asked.model ?? undefined, "embed");
  const { signal } = context.req.raw;
  const { embeddings } = await bridge.embed([asked.content].flat(), { api: "llama_server", model, signal });
  return context.json(embeddings.map((vector, index) => ({ index, embedding: [vector] })));
}
