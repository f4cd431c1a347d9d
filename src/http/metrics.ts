/**
 * Prometheus metrics of the bridge's requests and the daemon's state. Nothing of requests or answers is kept.
 * docs/grafana.json uses these names.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AdminSnapshot } from "@inferd/client";
import type { DaemonLink } from "./daemon_link.ts";
import { LlamaServerMetrics } from "./llama_server/metrics.ts";
import { outcomeOf, type RequestKind, type RequestRecord } from "./request_record.ts";

const KIND = ["api", "surface", "model"] as const;
const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const TOKENS_A_SECOND = [1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280];

type AheadTokens = "forcedTokens" | "preparedTokens" | "draftedTokens" | "acceptedTokens";

/** Work done ahead of the model: forced, prepared and speculative tokens. */
const AHEAD: readonly (readonly [tokens: AheadTokens, name: string, help: string])[] = [
  ["forcedTokens", "forced", "Generated tokens that a schema or grammar forced"],
  ["preparedTokens", "prepared", "Cached tokens that were prepared after an earlier answer"],
  ["draftedTokens", "drafted", "Tokens drafted by speculative decoding"],
  ["acceptedTokens", "accepted", "Drafted tokens that the model accepted"],
];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<(typeof KIND)[number] | "outcome">;
  readonly #active: Gauge<(typeof KIND)[number]>;
  readonly #promptTokens: Counter<(typeof KIND)[number]>;
  readonly #completionTokens: Counter<(typeof KIND)[number]>;
  readonly #cachedTokens: Counter<(typeof KIND)[number]>;
  readonly #ahead: readonly { readonly tokens: AheadTokens; readonly counter: Counter<(typeof KIND)[number]> }[];
  readonly #queue: Histogram<(typeof KIND)[number]>;
  readonly #prompt: Histogram<(typeof KIND)[number]>;
  readonly #firstToken: Histogram<(typeof KIND)[number]>;
  readonly #duration: Histogram<(typeof KIND)[number]>;
  readonly #speed: Histogram<(typeof KIND)[number]>;
  readonly #gauges: ReturnType<typeof gaugesOf>;
  readonly #llamaServer = new LlamaServerMetrics(this.#registry);
  /** When it began, in milliseconds since 1970. */
  readonly startedAt = Date.now();

  constructor(link: Pick<DaemonLink, "restarts">) {
    const registers = [this.#registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
      new Counter({ name, help, labelNames, registers });
    const histogram = (name: string, help: string, buckets: number[]): Histogram<(typeof KIND)[number]> =>
      new Histogram({ name, help, labelNames: KIND, buckets, registers });
    this.#requests = counter("inferd_http_requests_total", "Requests that have ended, by outcome", [
      ...KIND,
      "outcome",
    ]);
    this.#active = new Gauge({
      name: "inferd_http_active_requests",
      help: "Requests running or waiting",
      labelNames: KIND,
      registers,
    });
    this.#promptTokens = counter("inferd_http_prompt_tokens_total", "Prompt tokens", KIND);
    this.#cachedTokens = counter(
      "inferd_http_cached_tokens_total",
      "Prompt tokens found in the prefix cache",
      KIND,
    );
    this.#ahead = AHEAD.map(([tokens, name, help]) => ({
      tokens,
      counter: counter(`inferd_http_${name}_tokens_total`, help, KIND),
    }));
    this.#queue = histogram("inferd_http_queue_seconds", "Time until the daemon started a request", SECONDS);
    this.#prompt = histogram("inferd_http_prompt_seconds", "Time to process a prompt, once started", SECONDS);
    this.#completionTokens = counter("inferd_http_completion_tokens_total", "Generated tokens", KIND);
    this.#firstToken = histogram("inferd_http_first_token_seconds", "Time to the first piece of an answer", SECONDS);
    this.#duration = histogram("inferd_http_request_seconds", "Time to the end of an answer", SECONDS);
    this.#speed = histogram(
      "inferd_http_tokens_per_second",
      "Tokens of an answer a second after its first",
      TOKENS_A_SECOND,
    );
    this.#gauges = gaugesOf(this.#registry, this.startedAt);
    new Counter({
      name: "inferd_engine_restarts_total",
      help: "Restarts of engines since the bridge started",
      registers,
      collect(): void {
        this.reset();
        this.inc(link.restarts);
      },
    });
  }

  begin({ api, surface, model }: RequestKind): RequestRecord {
    const labels = { api, surface, model };
    const start = performance.now();
    let outcome = "cancelled";
    let first: number | undefined;
    this.#active.inc(labels);
    return {
      event: (): void => {
        first ??= performance.now();
      },
      done: (result): void => {
        this.#llamaServer.done(result);
        const { usage, timings } = result;
        const { promptTokens, completionTokens, cachedTokens = 0 } = usage;
        outcome = "ok";
        for (const { tokens, counter } of this.#ahead) counter.inc(labels, usage[tokens] ?? 0);
        this.#promptTokens.inc(labels, promptTokens);
        this.#cachedTokens.inc(labels, cachedTokens);
        if (timings !== undefined) {
          this.#queue.observe(labels, timings.queueMs / 1000);
          this.#prompt.observe(labels, timings.promptMs / 1000);
        }
        this.#completionTokens.inc(labels, completionTokens);
        const seconds = first === undefined ? 0 : (performance.now() - first) / 1000;
        if (completionTokens > 1 && seconds > 0) this.#speed.observe(labels, (completionTokens - 1) / seconds);
      },
      failed: (error, signal): void => {
        outcome = outcomeOf(error, signal);
      },
      [Symbol.dispose]: (): void => {
        this.#active.dec(labels);
        this.#requests.inc({ ...labels, outcome });
        if (first !== undefined) this.#firstToken.observe(labels, (first - start) / 1000);
        this.#duration.observe(labels, (performance.now() - start) / 1000);
      },
    };
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format; `daemon` is undefined if it does not run. */
  text(daemon: AdminSnapshot | undefined): Promise<string> {
    const { up, state, breaker, engineMemory, slots, context, active, waiting, depth, memory } = this.#gauges;
    memory.set(Deno.memoryUsage().rss);
    for (const gauge of [state, breaker, engineMemory, slots, context, active, waiting, depth]) gauge.reset();
    this.#llamaServer.read(daemon?.capabilities.find(({ queue }) => queue !== undefined)?.queue);
    up.set(daemon?.status.status === "ready" ? 1 : 0);
    for (const known of daemon?.capabilities ?? []) {
      const { backend, state: is = "ready", parallel, contextTokens, queue, memoryBytes } = known;
      state.set({ backend, state: is }, 1);
      breaker.set({ backend }, known.breaker === "open" ? 1 : 0);
      if (memoryBytes !== undefined) engineMemory.set({ backend }, memoryBytes);
      if (parallel !== undefined) slots.set({ backend }, parallel);
      if (contextTokens !== undefined) context.set({ backend }, contextTokens);
      // All backends share one queue, repeated in each of them.
      if (queue === undefined) continue;
      active.set(queue.active);
      waiting.set(queue.waiting);
      depth.set(queue.depth);
    }
    return this.#registry.metrics();
  }
}

function gaugesOf(
  registry: Registry,
  startedAt: number,
): Readonly<Record<GaugeName, Gauge<"backend" | "state">>> {
  const gauge = (name: string, help: string, ...labelNames: ("backend" | "state")[]): Gauge<"backend" | "state"> =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  gauge("inferd_http_start_time_seconds", "When the bridge started, in seconds since 1970").set(startedAt / 1000);
  return {
    memory: gauge("inferd_http_memory_bytes", "Resident memory of the bridge"),
    up: gauge("inferd_up", "1 while the daemon is ready"),
    state: gauge("inferd_backend_state", "1 for the state a backend is in", "backend", "state"),
    breaker: gauge(
      "inferd_backend_breaker_open",
      "1 while the circuit breaker holds requests back from a failing backend",
      "backend",
    ),
    engineMemory: gauge("inferd_backend_memory_bytes", "Resident memory of a backend's engine at its start", "backend"),
    slots: gauge("inferd_backend_slots", "Requests a backend decodes in parallel", "backend"),
    context: gauge("inferd_backend_context_tokens", "Tokens one request may use", "backend"),
    active: gauge("inferd_queue_active", "Requests running in the daemon, from all clients"),
    waiting: gauge("inferd_queue_waiting", "Requests waiting in the daemon, from all clients"),
    depth: gauge("inferd_queue_depth", "Requests that may wait in each queue"),
  };
}

type GaugeName =
  | "memory"
  | "up"
  | "state"
  | "breaker"
  | "engineMemory"
  | "slots"
  | "context"
  | "active"
  | "waiting"
  | "depth";
