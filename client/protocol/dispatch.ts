/**
 * Wire format of dispatch: a length, a JSON object, one response, close.
 *
 * @module
 */

/**
 * How one call's result is to be written: as JSON, or as text for a person.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import { dispatch, type Presentation } from "@inferd/client";
 *
 * export async function status(presentation: Presentation): Promise<boolean> {
 *   return (await dispatch("status()", { presentation })).ok;
 * }
 * ```
 */
export type Presentation = "json" | "text";

/**
 * A dispatch request.
 *
 * @example
 * ```ts
 * import type { DispatchRequest } from "@inferd/client/protocol";
 *
 * export const request: DispatchRequest = {
 *   ops: "status()",
 *   namespace: "default",
 *   presentation: null,
 *   presentation_per_op: null,
 *   config_id: "",
 * };
 * ```
 */
export interface DispatchRequest {
  /** One or more calls with `;` between them. */
  ops: string;
  /** Has to be the daemon's. */
  namespace: string;
  /** For every call; `null`: `json`. */
  presentation: string | null;
  /** For each call, by position; `null` entries: as `presentation` says. */
  presentation_per_op: (string | null)[] | null;
  /** Has to be the daemon's; default `""`. */
  config_id?: string;
}

/** The answer; all fields are always there. */
export interface DispatchResponse {
  /** Whether the calls were run. */
  ok: boolean;
  /** A JSON array, one entry for each call, as text. */
  result: string | null;
  /** Why nothing was run. */
  error: string | null;
  /** The daemon's namespace is another one; nothing was run. */
  namespace_mismatch: boolean;
  /** The daemon's configuration is another one; nothing was run. */
  config_mismatch: boolean;
  /** The fingerprint of the daemon's configuration. */
  served_config_id: string | null;
}

/**
 * One entry of a dispatch result.
 *
 * @category Dispatch
 *
 * @example
 * ```ts
 * import type { DispatchResult } from "@inferd/client";
 *
 * export function show(result: DispatchResult): string {
 *   return result.ok ? JSON.stringify(result.value) : result.error;
 * }
 * ```
 */
export type DispatchResult = { ok: true; value: unknown } | { ok: false; error: string };
