/**
 * The client's admin events as the wire's frames again, for `--json`: what scripts see is what the protocol documents.
 */
import type { AdminEvent } from "@inferd/client";

const WIRE_NAMES: Readonly<Record<string, string>> = { contextTokens: "n_ctx" };

/**
 * An event as its frame.
 *
 * @param event The event.
 * @returns The frame, ready for `JSON.stringify`.
 */
export function adminFrame(event: AdminEvent): Record<string, unknown> {
  const fields = Object.entries(event).map(([name, value]) => [WIRE_NAMES[name] ?? snakeCase(name), value]);
  return { id: "admin", type: "status", ...Object.fromEntries(fields) };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]|\d+/g, (part) => /\d/.test(part) ? part : `_${part.toLowerCase()}`);
}
