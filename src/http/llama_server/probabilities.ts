/** llama-server's token probabilities: logarithms before sampling, or plain ones after it. */
import type { TokenLogprob } from "@inferd/client";

/**
 * Format a list of tokens, each with its most likely alternatives.
 *
 * @param afterSampling Whether the probabilities are those that sampling drew from.
 */
export function probabilitiesOf(
  tokens: readonly TokenLogprob[],
  afterSampling: boolean | null | undefined,
): Record<string, unknown>[] {
  const one = ({ token, tokenId, logprob, bytes }: Omit<TokenLogprob, "top">): Record<string, unknown> => ({
    ...(tokenId === undefined ? {} : { id: tokenId }),
    token,
    bytes,
    ...(afterSampling ? { prob: Math.exp(logprob) } : { logprob }),
  });
  const top = afterSampling ? "top_probs" : "top_logprobs";
  return tokens.map(({ top: likely, ...token }) => ({ ...one(token), [top]: likely.map(one) }));
}
