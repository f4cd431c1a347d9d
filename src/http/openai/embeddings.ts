/** OpenAI's embeddings: `/v1/embeddings`. */
import type { Context } from "hono";
import { z } from "zod";
import { Buffer } from "node:buffer";
import { MAX_EMBED_INPUTS } from "@inferd/client/protocol";
import type { EmbedInput } from "@inferd/client";
import { invalid } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";

const text = z.string().min(1, "must not be empty");
const token = z.int().min(0);

/** A text, its token ids, or several of these. */
export const embedInput = z.union([
  text,
  z.array(token).min(1),
  z.array(z.union([text, z.array(token).min(1)])).min(1),
]);

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  input: embedInput,
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: z.string().nullish(),
});

export async function embeddings(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const input = readEmbedInput(asked.input, "input");
  const model = await bridge.link.model(asked.model ?? undefined, "embed");
  const { signal } = context.req.raw;
  const result = await bridge.embed(input, { api: "openai", model, dimensions: asked.dimensions ?? undefined, signal });
  const { promptTokens } = result.usage;
  return context.json({
    id: `embd-${crypto.randomUUID().replaceAll("-", "")}`,
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

/**
 * Parse {@linkcode embedInput}. Token ids are the model's own, used as they are.
 *
 * @throws {ApiError} If there are too many.
 */
export function readEmbedInput(input: z.output<typeof embedInput>, param: string): readonly EmbedInput[] {
  if (typeof input === "string") return [input];
  const texts = input.filter((one) => typeof one !== "number");
  if (texts.length === 0) return [input.filter((one) => typeof one === "number")];
  if (texts.length > MAX_EMBED_INPUTS) throw invalid(param, `must have at most ${MAX_EMBED_INPUTS} texts`);
  return texts;
}

/** 32-bit little-endian floats. */
function toBase64(vector: readonly number[]): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * 4));
  for (const [index, value] of vector.entries()) bytes.setFloat32(index * 4, value, true);
  return Buffer.from(bytes.buffer).toString("base64");
}
