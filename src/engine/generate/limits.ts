/** Request limits that depend on the model's vocabulary, which only the engine knows. */
import type { GenerationRequest } from "../../inference/request.ts";

/** A value exceeds this model's limit; the message is for the caller. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/**
 * Check a request against the model's limits. Defaulted values are clamped elsewhere.
 *
 * @throws {LimitError} If a value exceeds a limit.
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
