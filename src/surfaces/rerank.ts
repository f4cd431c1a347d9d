/**
 * Rerank: the fields of a request, the order of documents, and the frame. Scores belong to the backend.
 */
import { MAX_RERANK_BYTES, MAX_RERANK_DOCUMENTS, type NumberLimits, type RerankFrame } from "@inferd/client/protocol";
import { InvalidRequestError, RerankUnsupportedError } from "../inference/errors.ts";
import type { RerankAnswer, RerankRequest } from "../inference/request.ts";
import {
  readModel,
  readNonEmptyString,
  readNumber,
  readRequest,
  readTexts,
  type ResolvedRequest,
  type Terminal,
  type WholeAnswer,
} from "../pipeline/resolve.ts";
import type { Surface } from "./surface.ts";

/** A number above the number of documents means all of them. */
const TOP_N: NumberLimits = { min: 1, whole: true };

const encoder = new TextEncoder();

export const rerankSurface: Surface = {
  name: "rerank",
  service: "rerank",
  read: readRerank,
};

/**
 * Read a request whose frame is returned as an object.
 *
 * @throws {InvalidRequestError} If it is invalid.
 */
export function readRerank(value: unknown): ResolvedRequest<RerankFrame> {
  const { id, fields } = readRequest(value);
  const request: RerankRequest = {
    query: readNonEmptyString("query", fields.query),
    documents: readTexts("documents", fields.documents, { of: "strings", max: MAX_RERANK_DOCUMENTS }),
  };
  checkBytes(request);
  const topN = fields.top_n === undefined ? Infinity : readNumber("top_n", fields.top_n, TOP_N);
  return {
    id,
    ...readModel(fields),
    answer: (backend, signal): WholeAnswer<RerankFrame, RerankAnswer> => {
      if (backend.rerank === undefined) throw new RerankUnsupportedError(`Backend "${backend.name}" does not rerank`);
      return {
        answer: backend.rerank(request, signal),
        render: (answer) => render(answer, { id, topN, documents: request.documents.length, backend: backend.name }),
      };
    },
  };
}

function checkBytes({ query, documents }: RerankRequest): void {
  // A UTF-16 unit takes one to three bytes, so most texts need no encoding to be accepted or refused.
  const units = documents.reduce((sum, { length }) => sum + length, query.length);
  if (units * 3 <= MAX_RERANK_BYTES) return;
  const bytes = units > MAX_RERANK_BYTES
    ? units
    : documents.reduce((sum, text) => sum + encoder.encode(text).length, encoder.encode(query).length);
  if (bytes <= MAX_RERANK_BYTES) return;
  throw new InvalidRequestError(
    `"query" and "documents" together must have at most ${MAX_RERANK_BYTES} bytes, got ${bytes}`,
  );
}

function render(
  { scores, model, inputTokens }: RerankAnswer,
  asked: { readonly id: string; readonly topN: number; readonly documents: number; readonly backend: string },
): Terminal<RerankFrame> {
  if (scores.length !== asked.documents) throw new Error(`${asked.documents} documents got ${scores.length} scores`);
  const wrong = scores.find((score) => !Number.isFinite(score));
  if (wrong !== undefined) throw new Error(`A document got the score ${wrong}`);
  // Best first; the sort is stable.
  const results = scores.map((score, index) => ({ index, score })).sort((a, b) => b.score - a.score);
  return {
    frame: {
      type: "rerank",
      id: asked.id,
      results: results.slice(0, asked.topN),
      model,
      usage: { input_tokens: inputTokens },
      backend: asked.backend,
    },
    stopReason: "end",
    usage: { promptTokens: inputTokens, completionTokens: 0, cachedTokens: 0 },
  };
}
