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
export function phaseOf({ status: _, ...phase }: LoadingModelEvent | RestartingEvent): LoadPhase {
  return fieldsOf(phase) as unknown as LoadPhase;
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
