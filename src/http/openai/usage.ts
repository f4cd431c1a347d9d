/** Details of OpenAI's usage object. */
import type { Usage } from "@inferd/client";

/** @returns Cached prompt tokens and reasoning tokens; the latter are not counted separately. */
export function usageDetails({ cachedTokens = 0 }: Usage): { readonly cached: number; readonly reasoning: number } {
  return { cached: cachedTokens, reasoning: 0 };
}
