/** `/health` in llama-server's format, and `/metrics`. */
import type { Context } from "hono";
import type { Bridge } from "./bridge.ts";

/** Respond 200 if the daemon is ready, else 503. Reveals nothing that needs a key. */
export async function health(context: Context, { link }: Bridge): Promise<Response> {
  const state = link.state ?? await link.snapshot().then(({ status }) => status.status, () => "unreachable");
  if (state === "ready") return context.json({ status: "ok" });
  const error = { message: `The daemon is ${state}`, type: "unavailable_error", code: 503 };
  return context.json({ status: state, error }, 503);
}

/** Respond with the bridge's and the daemon's metrics for Prometheus. */
export async function metrics(context: Context, { link, metrics }: Bridge): Promise<Response> {
  const daemon = await link.snapshot().catch(() => undefined);
  return context.body(await metrics.text(daemon), 200, {
    "Content-Type": metrics.contentType,
    // As llama-server tells it, by which its clients know that counters begin again.
    "Process-Start-Time-Unix": String(Math.floor(metrics.startedAt / 1000)),
  });
}
