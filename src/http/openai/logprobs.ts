/** How likely the tokens of an answer were, in the three forms that OpenAI's endpoints have for it. */
import type { TokenLogprob, TokenProbability } from "@inferd/client";

/**
 * As Chat Completions has it.
 *
 * @param tokens What the daemon tells; absent: it was not asked.
 */
export function chatLogprobs(tokens: readonly TokenLogprob[] | undefined): Record<string, unknown> | null {
  return tokens === undefined ? null : { content: tokens.map((token) => entry(token)), refusal: null };
}

/**
 * As the Responses API has it.
 *
 * @param tokens What the daemon tells; absent: it was not asked.
 */
export function responseLogprobs(tokens: readonly TokenLogprob[] | undefined): Record<string, unknown>[] {
  return (tokens ?? []).map((token) => entry(token));
}

function entry(token: TokenLogprob): Record<string, unknown> {
  return { ...probability(token), top_logprobs: token.top.map(probability) };
}

function probability({ token, logprob, bytes }: TokenProbability): Record<string, unknown> {
  return { token, logprob, bytes };
}

/**
 * As the older completions have it.
 *
 * @param tokens What the daemon tells; absent: it was not asked.
 * @param offset Where in the text the first of them begins.
 */
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
