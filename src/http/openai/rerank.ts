/**
 * Rerank: `/v1/rerank` and `/rerank`, in the format of Jina's and Cohere's clients and, with `texts`, of Hugging Face's
 * Text Embeddings Inference (TEI).
 */
import type { Context } from "hono";
import { z } from "zod";
import type { RerankResult } from "@inferd/client";
import { MAX_RERANK_DOCUMENTS } from "@inferd/client/protocol";
import { invalid, unsupported } from "../api_error.ts";
import { readBody } from "../body.ts";
import type { Bridge } from "../bridge.ts";
import type { ServedModel } from "../daemon_link.ts";

const text = z.string().min(1, "must not be empty");

const body = z.strictObject({
  model: z.string().min(1).nullish(),
  query: text,
  top_n: z.int().min(1).nullish(),
  documents: z.array(z.union([text, z.object({ text })])).min(1).max(MAX_RERANK_DOCUMENTS).nullish(),
  return_documents: z.boolean().nullish(),
  max_tokens_per_doc: z.int().min(1).nullish(),
  texts: z.array(text).min(1).max(MAX_RERANK_DOCUMENTS).nullish(),
  raw_scores: z.boolean().nullish(),
  return_text: z.boolean().nullish(),
  truncate: z.literal(false, "must be false: a text that is too long is refused").nullish(),
});

type Body = z.output<typeof body>;

const ONLY_WITH_DOCUMENTS = ["return_documents", "max_tokens_per_doc"] as const;
const ONLY_WITH_TEXTS = ["raw_scores", "return_text", "truncate"] as const;

export async function rerank(context: Context, bridge: Bridge): Promise<Response> {
  const asked = await readBody(context, body);
  const documents = documentsOf(asked);
  const model = await bridge.link.model(asked.model ?? undefined, "rerank");
  checkLength(asked, model);
  const ranked = await bridge.rerank(asked.query, documents, {
    api: "openai",
    model,
    topN: asked.top_n ?? undefined,
    signal: context.req.raw.signal,
  });
  if (asked.texts) return context.json(teiRanks(ranked, asked));
  const { results, usage } = ranked;
  return context.json({
    id: crypto.randomUUID(),
    object: "list",
    model: asked.model ?? model.name,
    results: results.map(({ index, score, document }) => ({
      index,
      // The model's raw output: good for ordering, but not a probability.
      relevance_score: score,
      ...(asked.return_documents ? { document: { text: document } } : {}),
    })),
    usage: { prompt_tokens: usage.promptTokens, total_tokens: usage.promptTokens },
  });
}

/** Cohere truncates longer documents; here those that do not fit the model are refused, and the others are whole. */
function checkLength(
  { max_tokens_per_doc: most }: Body,
  { backends: [{ contextTokens = Infinity }] }: ServedModel,
): void {
  if ((most ?? Infinity) >= contextTokens) return;
  throw unsupported(
    "max_tokens_per_doc",
    `documents are not truncated, send at least ${contextTokens} or leave it out`,
  );
}

function documentsOf(asked: Body): string[] {
  const { documents, texts } = asked;
  if (texts && documents) throw invalid("texts", 'goes without "documents"');
  if (!texts && !documents) throw invalid("documents", "must be a list of texts");
  const stray = (texts ? ONLY_WITH_DOCUMENTS : ONLY_WITH_TEXTS).find((name) =>
    (asked[name] ?? undefined) !== undefined
  );
  if (stray !== undefined) throw invalid(stray, `goes with "${texts ? "documents" : "texts"}" only`);
  return texts ?? (documents ?? []).map((document) => typeof document === "string" ? document : document.text);
}

/** TEI's response, a bare list; scores from 0 to 1 unless raw ones are requested. */
function teiRanks({ results }: RerankResult, asked: Body): Record<string, unknown>[] {
  return results.map(({ index, score, document }) => ({
    index,
    score: asked.raw_scores ? score : 1 / (1 + Math.exp(-score)),
    ...(asked.return_text ? { text: document } : {}),
  }));
}
