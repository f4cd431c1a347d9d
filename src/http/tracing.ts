/**
 * OpenTelemetry spans: one per request to the daemon, with its phases as children, following the semantic conventions
 * for generative AI. Deno exports them if `OTEL_DENO=true`; otherwise all calls are no-ops. Spans never hold request or
 * answer text.
 */
import { type Attributes, type Context, context, propagation, SpanStatusCode, trace } from "@opentelemetry/api";
import type { MiddlewareHandler } from "hono";
import type { GenerateV2Fields } from "@inferd/client";
import { outcomeOf, type RequestKind, type RequestRecord, type RequestResult } from "./request_record.ts";

/** A parent span: the caller's trace, or none. */
export type TraceParent = Context;

/** Sampling settings defined by the conventions. Stop strings are left out because they are request text. */
const REQUEST_ATTRIBUTES = [
  ["maxTokens", "gen_ai.request.max_tokens"],
  ["temperature", "gen_ai.request.temperature"],
  ["topP", "gen_ai.request.top_p"],
  ["topK", "gen_ai.request.top_k"],
  ["seed", "gen_ai.request.seed"],
  ["presencePenalty", "gen_ai.request.presence_penalty"],
  ["frequencyPenalty", "gen_ai.request.frequency_penalty"],
] as const satisfies readonly (readonly [keyof GenerateV2Fields, string])[];

const OPERATIONS: Readonly<Record<RequestKind["surface"], string>> = {
  v2: "chat",
  embed: "embeddings",
  rerank: "rerank",
};

const PHASES = [["queue", "queueMs"], ["prompt", "promptMs"], ["generation", "generationMs"]] as const;

/** Create middleware that continues the trace in a request's `traceparent`. */
export function tracing(): MiddlewareHandler {
  return async ({ req }, next) => {
    // Deno's own span of the request, if any, already belongs to the caller's trace.
    const outer = context.active();
    const parent = trace.getSpan(outer) === undefined ? propagation.extract(outer, req.header()) : outer;
    await context.with(parent, next);
  };
}

export function traceParent(): TraceParent {
  return context.active();
}

export function beginSpan(
  { api, surface, model }: RequestKind,
  parent: TraceParent,
  request: Partial<GenerateV2Fields> = {},
): RequestRecord {
  const operation = OPERATIONS[surface];
  const startedAt = Date.now();
  const tracer = trace.getTracer("inferd");
  const span = tracer.startSpan(`${operation} ${model}`, {
    startTime: startedAt,
    attributes: {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": "inferd",
      "gen_ai.request.model": model,
      "inferd.api": api,
      ...settingsOf(request),
    },
  }, parent);
  const within = trace.setSpan(parent, span);
  let outcome = "cancelled";
  let isFirst = true;
  return {
    event: (): void => {
      if (isFirst) span.addEvent("first_token");
      isFirst = false;
    },
    done: (result): void => {
      outcome = "ok";
      span.setAttributes(resultOf(result));
      let at = startedAt;
      for (const [name, field] of PHASES) {
        const { [field]: ms } = result.timings ?? {};
        if (ms === undefined) continue;
        const phase = tracer.startSpan(name, { startTime: at }, within);
        at += ms;
        phase.end(at);
      }
    },
    failed: (error, signal): void => {
      outcome = outcomeOf(error, signal);
      if (outcome === "cancelled") return;
      span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute("error.type", outcome);
    },
    [Symbol.dispose]: (): void => {
      span.setAttribute("inferd.outcome", outcome);
      span.end();
    },
  };
}

function settingsOf(request: Partial<GenerateV2Fields>): Attributes {
  const attributes: Attributes = {};
  for (const [field, name] of REQUEST_ATTRIBUTES) {
    const value = request[field];
    if (value !== undefined) attributes[name] = value;
  }
  return attributes;
}

function resultOf({ usage, stopReason }: RequestResult): Attributes {
  const { promptTokens, completionTokens, cachedTokens } = usage;
  return {
    "gen_ai.usage.input_tokens": promptTokens,
    "gen_ai.usage.output_tokens": completionTokens,
    ...(cachedTokens === undefined ? {} : { "gen_ai.usage.cache_read.input_tokens": cachedTokens }),
    ...(stopReason === undefined ? {} : { "gen_ai.response.finish_reasons": [stopReason] }),
  };
}
