/** What OpenAI's usage says beside the counts. */
import type { Usage } from "@inferd/client";

/**
 * Details of a usage.
 *
 * @param usage The daemon's counts.
 * @returns Tokens of the prompt that were cached, and of the answer that were thought; the latter are not counted apart.
 */
export function usageDetails({ cachedTokens = 0 }: Usage): { readonly cached: number; readonly reasoning: number } {
  return { cached: cachedTokens, reasoning: 0 };
}
