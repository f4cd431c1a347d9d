/** `/health` in llama-server's format, and `/metrics`. */
import type { Context } from "hono";
import type { Bridge } from "./bridge.ts";

/**
 * Respond 200 if the daemon is ready, else 503. Reveals nothing that needs a key.
 *
 * @param context The request.
 * @param bridge The link to the daemon.
 */
export async function health(context: Context, { link }: Bridge): Promise<Response> {
  const state = link.state ?? await link.snapshot().then(({ status }) => status.status, () => "unreachable");
  return state === "ready" ? context.json({ status: "ok" }) : context.json({ status: state }, 503);
}

/**
 * Respond with the bridge's and the daemon's metrics for Prometheus.
 *
 * @param context The request.
 * @param bridge The link to the daemon, and the metrics.
 */
export async function metrics(context: Context, { link, metrics }: Bridge): Promise<Response> {
  const daemon = await link.snapshot().catch(() => undefined);
  return context.body(await metrics.text(daemon), 200, { "Content-Type": metrics.contentType });
}
