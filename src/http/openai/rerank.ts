/** Rerank, in the form that Jina's and Cohere's clients speak: `/v1/rerank` and `/rerank`. */
import type { Context } from "hono";
import { z } from "zod";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  query: z.string().min(1),
  documents: z.array(z.union([z.string().min(1), z.object({ text: z.string().min(1) })])).min(1).max(256),
  top_n: z.int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
});

/**
 * Answer a request.
 *
 * @param context The request.
 * @param bridge Asks the daemon.
 */
export async function rerank(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const model = await bridge.link.model(asked.model ?? undefined, "rerank");
  const documents = asked.documents.map((document) => typeof document === "string" ? document : document.text);
  const { signal } = context.req.raw;
  const { results, usage } = await bridge.rerank(asked.query, documents, {
    api: "openai",
    model,
    topN: asked.top_n ?? undefined,
    signal,
  });
  return context.json({
    id: crypto.randomUUID(),
    object: "list",
    model: asked.model ?? model.name,
    results: results.map(({ index, score, document }) => ({
      index,
      // The model's raw output: it orders, and is no probability.
      relevance_score: score,
      ...(asked.return_documents ? { document: { text: document } } : {}),
    })),
    usage: { prompt_tokens: usage.promptTokens, total_tokens: usage.promptTokens },
  });
}
