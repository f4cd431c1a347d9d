/** Log probabilities of a token and of the top tokens of a logits row. */
import type { TokenOdds } from "../../answer/text_logprobs.ts";
import { candidateToken, candidateWeight, logOfSum, selectLargest } from "./candidates.ts";

/** @param top Number of top tokens to report. */
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
