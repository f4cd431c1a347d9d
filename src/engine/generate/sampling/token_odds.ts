/** How likely the model found a token, and which it found likeliest: numbers only, of one row of logits. */
import type { TokenOdds } from "../../answer/text_logprobs.ts";
import { candidateToken, candidateWeight, logOfSum, selectLargest } from "./candidates.ts";

/**
 * Look up a token in a row.
 *
 * @param logits The row.
 * @param token The token.
 * @param top How many of the likeliest are told.
 */
export function oddsOf(logits: Float32Array, token: number, top: number): TokenOdds {
  const all = logOfSum(logits);
  const count = top === 0 ? 0 : selectLargest(logits, Math.min(top, logits.length));
  return {
    logprob: (logits[token] as number) - all,
    top: Array.from(
      { length: count },
      (_, i) => [candidateToken[i] as number, (candidateWeight[i] as number) - all] as const,
    ),
  };
}
