/**
 * The page at `/`: its files, its live stream, and cancelling requests. Everything else it uses is one of the APIs. The
 * files are the same for everybody and need no key; requests do.
 */
import type { Context, Hono } from "hono";
import { ApiError } from "../api_error.ts";
import type { Bridge } from "../bridge.ts";
import { JSON_LINES, streamed } from "../event_stream.ts";
import { PAGE_FILES } from "../guard.ts";
import { PAGE, PAGE_PARTS, type PageFile } from "./files.ts";
import { live } from "./live.ts";

/**
 * No external or inline content, and text becomes markup only through the sanitiser. Images may be data URLs, which
 * show the user's own.
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
  // File names do not change between versions.
  "Cache-Control": "no-cache",
} as const;

/** Dependencies of the page. */
export interface PageOptions {
  readonly bridge: Bridge;
  /** Fires when the server stops accepting requests; live streams end. */
  readonly draining: AbortSignal;
}

export function mountPage(app: Hono, { bridge, draining }: PageOptions): void {
  app.get("/", (context) => answer(context, PAGE));
  for (const [name, file] of Object.entries(PAGE_PARTS)) {
    app.get(`${PAGE_FILES}${name}`, (context) => answer(context, file));
  }
  app.get("/inferd/live", (context) => {
    const signal = AbortSignal.any([context.req.raw.signal, draining]);
    // Errors are reported in the stream, which continues.
    return streamed(context, live(bridge.link, signal), { contentType: JSON_LINES, onError: () => "" });
  });
  app.get("/inferd/store", async (context) => {
    return context.json({ pull: bridge.store !== undefined, models: await bridge.store?.list() ?? [] });
  });
  app.post("/inferd/requests/:number/cancel", (context) => cancel(context, bridge));
}

function answer(context: Context, { text, contentType }: PageFile): Response {
  return context.body(text, 200, { ...HEADERS, "Content-Type": contentType });
}

/** Cancel any request of the daemon, whoever sent it. */
async function cancel(context: Context, { link }: Bridge): Promise<Response> {
  const number = Number(context.req.param("number"));
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new ApiError(400, "The number of a request must be a whole number from 1", { code: "invalid_value" });
  }
  return context.json({ found: await link.admin.cancel(number) });
}
