/** Access control: `Host` and `Origin` headers and the API key. Does not look at request bodies. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { ApiError } from "./api_error.ts";

export interface GuardOptions {
  readonly hostname: string;
  /** The required key; default: none. */
  readonly apiKey?: string | undefined;
  /** Allowed origins of web pages besides the server's own; `*` allows all. */
  readonly origins: readonly string[];
}

/**
 * Paths that need no key: the existence of the server is no secret, and the page, the same for everybody, prompts for
 * the key.
 */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/health", "/v1/health", "/"]);

export const PAGE_FILES = "/page/";
// HEAD needs no mention.
const ALLOWED_METHODS = "GET, POST, DELETE, OPTIONS";
const PREFLIGHT_SECS = "600";

/**
 * Create middleware that rejects unauthorised requests.
 *
 * Without a key, `Host` must name this machine, which stops DNS rebinding: the attacking page sends its own host name.
 * Other origins are rejected unless configured, even for requests whose response the browser would hide.
 */
export function guard(options: GuardOptions): MiddlewareHandler {
  const hosts = new Set(["localhost", "127.0.0.1", "[::1]", bracketed(options.hostname)]);
  const everywhere = options.origins.includes("*");
  const origins = new Set(options.origins);
  const key = options.apiKey === undefined ? undefined : hashOf(options.apiKey);

  return async (context, next) => {
    const { req } = context;
    context.header("X-Content-Type-Options", "nosniff");
    const host = req.header("host") ?? "";
    if (key === undefined && !hosts.has(hostnameOf(host))) {
      throw new ApiError(
        403,
        `The host ${JSON.stringify(host)} is not this server: use one of ${[...hosts].join(", ")}`,
        {
          code: "host_not_allowed",
        },
      );
    }
    const origin = req.header("origin");
    const isOwn = origin === undefined
      ? !["cross-site", "same-site"].includes(req.header("sec-fetch-site") ?? "none")
      : origin === new URL(req.url).origin;
    const isConfigured = origin !== undefined && (everywhere || origins.has(origin));
    // Cross-site navigation to the page, such as a clicked link, is harmless: loading it triggers no action.
    const isVisit = req.method === "GET" && req.header("sec-fetch-mode") === "navigate";
    if (!isOwn && !isConfigured && !isVisit) {
      throw new ApiError(403, `Pages of ${JSON.stringify(origin ?? "another site")} may not use this server`, {
        code: "origin_not_allowed",
      });
    }
    if (isConfigured) {
      context.header("Access-Control-Allow-Origin", origin);
      // Harmless, since there are no cookies; pages that include them by default are not stopped.
      context.header("Access-Control-Allow-Credentials", "true");
      context.header("Access-Control-Expose-Headers", "Retry-After, Warning");
      context.header("Vary", "Origin");
      if (req.method === "OPTIONS") return preflight(context);
    }
    if (key !== undefined && !isOpen(req.path) && !presents(context, key)) {
      throw new ApiError(401, "The API key is missing or wrong: send it as a bearer token or in x-api-key", {
        code: "invalid_api_key",
      });
    }
    await next();
    return undefined;
  };
}

function preflight(context: Context): Response {
  context.header("Access-Control-Allow-Methods", ALLOWED_METHODS);
  context.header("Access-Control-Allow-Headers", context.req.header("access-control-request-headers") ?? "*");
  context.header("Access-Control-Max-Age", PREFLIGHT_SECS);
  return context.body(null, 200);
}

function isOpen(path: string): boolean {
  return OPEN_PATHS.has(path) || path.startsWith(PAGE_FILES);
}

/** Whether either header has the key: some clients send a placeholder in the other. */
function presents({ req }: Context, key: Uint8Array): boolean {
  const bearer = /^Bearer +(.+)$/i.exec(req.header("authorization") ?? "")?.[1];
  const found = [bearer, req.header("x-api-key")].map((one) => timingSafeEqual(hashOf(one ?? ""), key));
  return found.includes(true);
}

/** Hashing gives equal lengths, so that the comparison's time reveals nothing about the key. */
function hashOf(key: string): Uint8Array {
  return createHash("sha256").update(key).digest();
}

function hostnameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, "");
}

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname.toLowerCase()}]` : hostname.toLowerCase();
}
