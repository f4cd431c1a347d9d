/**
 * The page at `/`: its files, what it follows, and cancelling a request. Everything else that it asks is one of the
 * APIs. Its files are the same for everybody and need no key; what they ask does.
 */
import type { Context, Hono } from "hono";
import { ApiError } from "../api_error.ts";
import type { Bridge } from "../bridge.ts";
import { JSON_LINES, streamed } from "../event_stream.ts";
import { PAGE_FILES } from "../guard.ts";
import { PAGE, PAGE_PARTS, type PageFile } from "./files.ts";
import { live } from "./live.ts";

/**
 * Nothing from elsewhere, nothing inline, and no text becomes markup but through the sanitizer. Images may be data,
 * which is how the user's own are shown.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types dompurify",
].join("; ");

const HEADERS = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
  // A newer inferd has newer files under the same names.
  "Cache-Control": "no-cache",
} as const;

/** How the page is served. */
export interface PageOptions {
  readonly bridge: Bridge;
  /** Fires when the server takes no more requests: what is followed ends. */
  readonly draining: AbortSignal;
}

/**
 * Add the page to the server.
 *
 * @param app The server's handler.
 * @param options What it asks.
 */
export function mountPage(app: Hono, { bridge, draining }: PageOptions): void {
  app.get("/", () => answer(PAGE));
  for (const [name, file] of Object.entries(PAGE_PARTS)) app.get(`${PAGE_FILES}${name}`, () => answer(file));
  app.get("/inferd/live", (context) => {
    const signal = AbortSignal.any([context.req.raw.signal, draining]);
    // What fails is told in the stream, and the stream goes on.
    return streamed(live(bridge.link, signal), { contentType: JSON_LINES, onError: () => "" });
  });
  app.post("/inferd/requests/:number/cancel", (context) => cancel(context, bridge));
}

function answer({ text, contentType }: PageFile): Response {
  return new Response(text, { headers: { ...HEADERS, "Content-Type": contentType } });
}

/** Cancel a request of the daemon's, whoever asked. */
async function cancel(context: Context, { link }: Bridge): Promise<Response> {
  const number = Number(context.req.param("number"));
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new ApiError(400, "The number of a request must be a whole number from 1", { code: "invalid_value" });
  }
  return context.json({ found: await link.admin.cancel(number) });
}
