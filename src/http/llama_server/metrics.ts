/**
 * llama-server's metrics, of all requests together. How often the model was run, which it counts as well, is known to the
 * daemon's engine alone.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { QueueStatus } from "@inferd/client";
import type { RequestResult } from "../request_record.ts";

const COUNTERS = {
  prompt_tokens_total: "Prompt tokens processed, without those from the cache",
  prompt_tokens_cached_total: "Prompt tokens from the cache",
  prompt_seconds_total: "Time spent on prompts",
  tokens_predicted_total: "Generated tokens",
  tokens_predicted_seconds_total: "Time spent on generating",
  n_tokens_max: "Most tokens that a prompt and its answer had together",
  spec_decode_num_draft_tokens_total: "Tokens drafted by speculative decoding",
  spec_decode_num_accepted_tokens_total: "Drafted tokens that the model accepted",
} as const;

const GAUGES = {
  prompt_tokens_seconds: "Prompt tokens a second, of requests that ended since the last time these were read",
  predicted_tokens_seconds: "Generated tokens a second, of requests that ended since the last time these were read",
  requests_processing: "Requests running in the daemon, from all clients",
  requests_deferred: "Requests waiting in the daemon, from all clients",
} as const;

type CounterName = keyof typeof COUNTERS;
type GaugeName = keyof typeof GAUGES;

/** Tokens, and the seconds they took. */
class Speed {
  #tokens = 0;
  #seconds = 0;

  add(tokens: number, seconds: number): void {
    this.#tokens += tokens;
    this.#seconds += seconds;
  }

  /** Tokens a second since the last call; 0 if there were none. */
  take(): number {
    const speed = this.#seconds === 0 ? 0 : this.#tokens / this.#seconds;
    this.#tokens = this.#seconds = 0;
    return speed;
  }
}

export class LlamaServerMetrics {
  readonly #counters: Readonly<Record<CounterName, Counter>>;
  readonly #gauges: Readonly<Record<GaugeName, Gauge>>;
  readonly #prompt = new Speed();
  readonly #generation = new Speed();
  #longest = 0;

  constructor(registry: Registry) {
    const named = ([name, help]: readonly [string, string]): ConstructorParameters<typeof Counter>[0] => ({
      name: `llamacpp:${name}`,
      help,
      registers: [registry],
    });
    const all = <Name extends string, Metric>(
      texts: Readonly<Record<Name, string>>,
      make: (entry: readonly [string, string]) => Metric,
    ): Record<Name, Metric> =>
      Object.fromEntries(
        Object.entries<string>(texts).map((entry) => [entry[0], make(entry)]),
      ) as Record<Name, Metric>;
    this.#counters = all(COUNTERS, (entry) => new Counter(named(entry)));
    this.#gauges = all(GAUGES, (entry) => new Gauge(named(entry)));
  }

  /** Count a request that was answered. */
  done({ usage, timings }: RequestResult): void {
    const { promptTokens, completionTokens, cachedTokens = 0, draftedTokens = 0, acceptedTokens = 0 } = usage;
    const counters = this.#counters;
    const processed = promptTokens - cachedTokens;
    const [promptSeconds, seconds] = [(timings?.promptMs ?? 0) / 1000, (timings?.generationMs ?? 0) / 1000];
    counters.prompt_tokens_total.inc(processed);
    counters.prompt_tokens_cached_total.inc(cachedTokens);
    counters.prompt_seconds_total.inc(promptSeconds);
    counters.tokens_predicted_total.inc(completionTokens);
    counters.tokens_predicted_seconds_total.inc(seconds);
    counters.spec_decode_num_draft_tokens_total.inc(draftedTokens);
    counters.spec_decode_num_accepted_tokens_total.inc(acceptedTokens);
    const tokens = promptTokens + completionTokens;
    counters.n_tokens_max.inc(Math.max(0, tokens - this.#longest));
    this.#longest = Math.max(this.#longest, tokens);
    this.#prompt.add(processed, promptSeconds);
    // The first token comes with the prompt.
    this.#generation.add(Math.max(0, completionTokens - 1), seconds);
  }

  /** Set what is told as it is now. */
  read(queue: QueueStatus | undefined): void {
    this.#gauges.prompt_tokens_seconds.set(this.#prompt.take());
    this.#gauges.predicted_tokens_seconds.set(this.#generation.take());
    this.#gauges.requests_processing.set(queue?.active ?? 0);
    this.#gauges.requests_deferred.set(queue?.waiting ?? 0);
  }
}
