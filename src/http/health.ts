/** Whether the daemon can be asked, `/health` as llama-server tells it, and how it fares, `/metrics`. */
import type { Context } from "hono";
import type { Bridge } from "./bridge.ts";

/**
 * 200 where the daemon is ready, else 503. Says nothing that needs a key.
 *
 * @param context The request.
 * @param bridge Knows the daemon.
 */
export async function health(context: Context, { link }: Bridge): Promise<Response> {
  const state = link.state ?? await link.snapshot().then(({ status }) => status.status, () => "unreachable");
  return state === "ready" ? context.json({ status: "ok" }) : context.json({ status: state }, 503);
}

/**
 * The bridge's and the daemon's figures for Prometheus.
 *
 * @param context The request.
 * @param bridge Knows both.
 */
export async function metrics(context: Context, { link, metrics }: Bridge): Promise<Response> {
  const daemon = await link.snapshot().catch(() => undefined);
  return context.body(await metrics.text(daemon), 200, { "Content-Type": metrics.contentType });
}
