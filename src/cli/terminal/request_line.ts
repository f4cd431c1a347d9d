/** A request of the daemon in one line. */
import type { LiveRequestStatus } from "@inferd/client";
import { duration } from "./amounts.ts";

/** What is asked for, in words. */
const SERVICES: Readonly<Record<string, string>> = { v1: "generate", v2: "generate", embed: "embed", rerank: "rerank" };

/**
 * A request that waits or runs.
 *
 * @param request As the daemon tells it.
 * @returns Its number and what is known of it.
 */
export function describeRequest({ number, service, backend, ageMs, firstTokenMs, pieces }: LiveRequestStatus): string {
  return [
    `#${number} ${SERVICES[service] ?? service}${backend === undefined ? "" : ` on ${backend}`}`,
    duration(ageMs),
    ...pieces > 0 ? [`${pieces} tokens`] : [],
    ...firstTokenMs === undefined ? [] : speedOf(pieces, ageMs - firstTokenMs),
  ].join(", ");
}

/**
 * How fast an answer is written.
 *
 * @param tokens How many came.
 * @param ms The time from the first to the last.
 * @returns One text; none where that is not known.
 */
export function speedOf(tokens: number, ms: number): string[] {
  // The first one came with the prompt.
  return tokens < 2 || ms <= 0 ? [] : [`${((tokens - 1) / ms * 1000).toFixed(1)} tokens/s`];
}
