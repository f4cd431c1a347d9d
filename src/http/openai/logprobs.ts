/** Logprobs in the three formats of OpenAI's endpoints. */
import type { TokenLogprob, TokenProbability } from "@inferd/client";
import { probabilitiesOf } from "../llama_server/probabilities.ts";

/**
 * Format for Chat Completions.
 *
 * @param tokens The daemon's logprobs; undefined if not requested.
 * @param afterSampling Whether they are those of llama-server's `post_sampling_probs`, with its fields.
 */
export function chatLogprobs(
  tokens: readonly TokenLogprob[] | undefined,
  afterSampling: boolean | null | undefined = false,
): Record<string, unknown> | null {
  if (tokens === undefined) return null;
  return { content: afterSampling ? probabilitiesOf(tokens, true) : tokens.map(entry), refusal: null };
}

/** The Responses API. */
export function responseLogprobs(tokens: readonly TokenLogprob[] | undefined): Record<string, unknown>[] {
  return (tokens ?? []).map((token) => entry(token));
}

function entry(token: TokenLogprob): Record<string, unknown> {
  return { ...probability(token), top_logprobs: token.top.map(probability) };
}

function probability({ token, logprob, bytes }: TokenProbability): Record<string, unknown> {
  return { token, logprob, bytes };
}

/** Legacy completions; `offset`: that of the first token in the text. */
export function completionLogprobs(
  tokens: readonly TokenLogprob[] | undefined,
  offset: number,
): Record<string, unknown> | null {
  if (tokens === undefined) return null;
  let at = offset;
  const offsets = tokens.map(({ token }) => {
    const start = at;
    at += token.length;
    return start;
  });
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ token, logprob }) => [token, logprob]))),
    text_offset: offsets,
  };
}
