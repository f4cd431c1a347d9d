/** Follows the daemon through a stream of lines, reconnecting when it ends or falls silent. */
import { ask, linesOf, RequestError } from "./api.js";

/**
 * @typedef {{ status: string, [field: string]: any }} AdminEvent
 * @typedef {{
 *   number: number, id: string, service: string, state: "waiting" | "running", backend?: string, ageMs: number,
 *   firstTokenMs?: number, pieces: number,
 * }} LiveRequest
 * @typedef {{
 *   requests: LiveRequest[],
 *   totals: { done: number, failed: number, completionTokens: number, firstTokens: number, firstTokenMs: number },
 *   queue: { active: number, waiting: number, depth: number },
 * }} Activity
 * @typedef {{ type: "event", event: AdminEvent } | { type: "unreachable" } | { type: "no_server" }
 *   | { type: "no_key" } | { type: "activity", activity: Activity | null, backends: import("./models.js").Capabilities[] }} Line
 */

/** The server sends a line every second; a stream silent for this many milliseconds is aborted. */
const SILENCE_MS = 5000;
const RECONNECT_MS = 1000;

/** @param {(line: Line) => void} onLine Called with each line, for as long as the page is open. */
export async function follow(onLine) {
  for (;;) {
    const cut = new AbortController();
    let timer;
    try {
      const response = await ask("/inferd/live", { signal: cut.signal });
      timer = setTimeout(() => cut.abort(), SILENCE_MS);
      for await (const line of linesOf(response)) {
        clearTimeout(timer);
        timer = setTimeout(() => cut.abort(), SILENCE_MS);
        onLine(JSON.parse(line));
      }
      onLine({ type: "no_server" });
    } catch (error) {
      onLine({ type: error instanceof RequestError && error.status === 401 ? "no_key" : "no_server" });
    } finally {
      clearTimeout(timer);
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}
