/** Requests that only have their prompt processed, to be in the cache: `n_predict: 0`. */
import type { GenerationEvent } from "@inferd/client";

/** The daemon generates one token at least: it is left out of the answers. */
export async function* withoutText(
  events: AsyncGenerator<readonly [number, GenerationEvent]>,
): AsyncGenerator<readonly [number, GenerationEvent]> {
  for await (const [index, event] of events) {
    if (event.type === "done") {
      const usage = { ...event.usage, completionTokens: 0 };
      const empty = { text: "", thinking: "", toolCalls: [], logprobs: [], stopReason: "max_tokens" } as const;
      yield [index, { ...event, usage, ...empty }];
    } else if (event.type === "progress" && event.usage.completionTokens === 0) yield [index, event];
  }
}
