/**
 * Converts the client's admin events back to wire frames for `--json`, so that scripts see what the protocol documents.
 */
import type { AdminEvent, Capabilities, LiveRequestStatus, LoadingModelEvent, RestartingEvent } from "@inferd/client";
import type { LoadPhase } from "@inferd/client/protocol";

const WIRE_NAMES: Readonly<Record<string, string>> = { contextTokens: "n_ctx" };

/** @returns The frame, ready for `JSON.stringify`. */
export function adminFrame(event: AdminEvent): Record<string, unknown> {
  const own = event.status === "request" ? { ...event, request: requestFields(event.request) } : event;
  return { id: "admin", type: "status", ...fieldsOf(own) };
}

export function requestFields(request: LiveRequestStatus): Record<string, unknown> {
  return fieldsOf(request);
}

function fieldsOf(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, value]) => [WIRE_NAMES[name] ?? snakeCase(name), value]),
  );
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]|\d+/g, (part) => /\d/.test(part) ? part : `_${part.toLowerCase()}`);
}

/** The phase as the wire has it, which the rest of the program speaks. */
export function phaseOf(event: LoadingModelEvent | RestartingEvent): LoadPhase {
  switch (event.phase) {
    case "download":
      return {
        phase: "download",
        downloaded_bytes: event.downloadedBytes,
        total_bytes: event.totalBytes,
        source_url: event.sourceUrl,
      };
    case "quarantine":
      return {
        phase: "quarantine",
        path: event.path,
        expected_sha256: event.expectedSha256,
        actual_sha256: event.actualSha256,
        quarantine_path: event.quarantinePath,
      };
    case "kv_cache":
      return { phase: "kv_cache", n_ctx: event.contextTokens };
    default: {
      const { phase, path, progress } = event;
      return phase === "mmap" && progress !== undefined ? { phase, path, progress } : { phase, path };
    }
  }
}

/** What loading a backend on demand is at, of which less is told; undefined where that is too little to show. */
export function phaseOfBackend(
  { phase, progress, backend, model = backend, contextTokens }: Capabilities,
): LoadPhase | undefined {
  switch (phase) {
    case "checking_local":
    case "verify":
      return { phase, path: model };
    case "mmap":
      return { phase, path: model, ...progress === undefined ? {} : { progress } };
    case "kv_cache":
      return contextTokens === undefined ? undefined : { phase, n_ctx: contextTokens };
    default:
      return undefined;
  }
}
