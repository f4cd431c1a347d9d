/** llama-server's `/embedding` and `/embeddings`: a list of vectors per text, where OpenAI has one object for all. */
import type { Context } from "hono";
import { z } from "zod";
import { invalid } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import { embedInput, readEmbedInput } from "../openai/embeddings.ts";

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  content: embedInput.optional(),
  input: embedInput.optional(),
  encoding_format: z.literal("float").nullish(),
  embd_normalize: z.literal(2, "must be 2: vectors have a length of 1").nullish(),
});

export async function embedding(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const model = await bridge.link.model(asked.model ?? undefined, "embed");
  const { signal } = context.req.raw;
  const given = asked.input ?? asked.content;
  if (given === undefined) throw invalid("input", "is missing");
  const input = readEmbedInput(given, asked.input === undefined ? "content" : "input");
  const { embeddings } = await bridge.embed(input, { api: "llama_server", model, signal });
  return context.json(embeddings.map((vector, index) => ({ index, embedding: [vector] })));
}
