/** Describes a request in one line. */
import type { LiveRequestStatus } from "@inferd/client";
import { duration } from "./amounts.ts";

const SERVICES: Readonly<Record<string, string>> = { v1: "generate", v2: "generate", embed: "embed", rerank: "rerank" };

export function describeRequest({ number, service, backend, ageMs, firstTokenMs, pieces }: LiveRequestStatus): string {
  return [
    `#${number} ${SERVICES[service] ?? service}${backend === undefined ? "" : ` on ${backend}`}`,
    duration(ageMs),
    ...pieces > 0 ? [`${pieces} tokens`] : [],
    ...firstTokenMs === undefined ? [] : speedOf(pieces, ageMs - firstTokenMs),
  ].join(", ");
}

/** Speed of an answer by the time from its first to its last token: one text, or none if unknown. */
export function speedOf(tokens: number, ms: number): string[] {
  // The first token belongs to the prompt's processing.
  return tokens < 2 || ms <= 0 ? [] : [`${((tokens - 1) / ms * 1000).toFixed(1)} tokens/s`];
}
