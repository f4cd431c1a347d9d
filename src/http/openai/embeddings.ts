/** OpenAI's embeddings: `/v1/embeddings`. */
import type { Context } from "hono";
import { z } from "zod";
import { Buffer } from "node:buffer";
import { MAX_EMBED_INPUTS } from "@inferd/client/protocol";
import { unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  input: z.union([
    z.string().min(1, "must not be empty"),
    z.array(z.union([z.string().min(1, "must not be empty"), z.int(), z.array(z.int())])).min(1).max(MAX_EMBED_INPUTS),
  ]),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: z.string().nullish(),
});

export async function embeddings(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const input = readInput(asked.input);
  const model = await bridge.link.model(asked.model ?? undefined, "embed");
  const { signal } = context.req.raw;
  const result = await bridge.embed(input, { api: "openai", model, dimensions: asked.dimensions ?? undefined, signal });
  const { promptTokens } = result.usage;
  return context.json({
    object: "list",
    data: result.embeddings.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: asked.encoding_format === "base64" ? toBase64(vector) : vector,
    })),
    model: asked.model ?? model.name,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  });
}

function readInput(input: z.output<typeof body>["input"]): string[] {
  const texts = [input].flat();
  if (texts.every((text) => typeof text === "string")) return texts;
  throw unsupported("input", "token ids are specific to a model, send text");
}

/** 32-bit little-endian floats. */
function toBase64(vector: readonly number[]): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [index, value] of vector.entries()) bytes.setFloat32(index * 4, value, true);
  return Buffer.from(bytes.buffer).toString("base64");
}
