/** What a model's vocabulary limits in a request; only the engine knows it. */
import type { GenerationRequest } from "../../inference/backend.ts";

/** A number is over what this model has; the message is for the caller. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/**
 * Look whether a request asks for no more than a model has. A default is no wish: it counts as what there is of it.
 *
 * @param request What was asked.
 * @param vocabularySize Tokens the model knows.
 * @throws {LimitError} If it does.
 */
export function checkLimits(
  { sampling: { topK }, defaulted }: Pick<GenerationRequest, "sampling" | "defaulted">,
  vocabularySize: number,
): void {
  if (topK <= vocabularySize || defaulted?.includes("top_k")) return;
  throw new LimitError(`"top_k" must be an integer from 0 to ${vocabularySize}, got ${topK}`);
}
