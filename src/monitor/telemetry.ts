/** OpenTelemetry environment variables, passed to the HTTP bridge, the process that traces. */
import type { Env } from "../config/flags.ts";

const SIGNALS = ["", "TRACES_", "METRICS_", "LOGS_"].flatMap((signal) =>
  ["ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION"].map((name) => `OTEL_EXPORTER_OTLP_${signal}${name}`)
);

/** Variables that Deno reads. */
export const TELEMETRY_VARIABLES: readonly string[] = [
  ...["OTEL_DENO", "OTEL_DENO_CONSOLE", "OTEL_DENO_METRICS", "OTEL_DENO_TRACING", "OTEL_SDK_DISABLED"],
  ...["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS"],
  ...["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"],
  ...SIGNALS,
  ...["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
  ...["OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
  ...["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE"],
  ...["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_SCHEDULE_DELAY"],
  ...["OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "OTEL_BLRP_EXPORT_TIMEOUT"],
];

/**
 * Compute the bridge's telemetry environment.
 *
 * @param env This process's variables.
 * @returns The variables that are set.
 */
export function telemetry(env: Env): Readonly<Record<string, string>> {
  return Object.fromEntries(
    TELEMETRY_VARIABLES.map((name) => [name, env(name)] as const)
      .filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
