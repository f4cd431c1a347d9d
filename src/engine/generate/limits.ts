/** Limits of a request that depend on the model's vocabulary, which only the engine knows. */
import type { GenerationRequest } from "../../inference/request.ts";

/** A number is over what this model has; the message is for the caller. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/**
 * Check that a request asks for no more than the model has. A defaulted value is clamped instead.
 *
 * @param request What was asked.
 * @param vocabularySize Tokens the model knows.
 * @throws {LimitError} If it does.
 */
export function checkLimits(
  { sampling: { topK, logitBias = [] }, defaulted }: Pick<GenerationRequest, "sampling" | "defaulted">,
  vocabularySize: number,
): void {
  if (topK > vocabularySize && !defaulted?.includes("top_k")) {
    throw new LimitError(`"top_k" must be an integer from 0 to ${vocabularySize}, got ${topK}`);
  }
  const unknown = logitBias.find(([token]) => token >= vocabularySize);
  if (unknown !== undefined) {
    throw new LimitError(`"logit_bias" must have ids of tokens from 0 to ${vocabularySize - 1}, got ${unknown[0]}`);
  }
}
