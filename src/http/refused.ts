/** Endpoints of other servers that this one does not support: 501, like llama-server for features that are off. */
import type { Context } from "hono";
import { ApiError } from "./api_error.ts";

export function refusing(why: string): (context: Context) => Promise<Response> {
  return ({ req }) =>
    Promise.reject(new ApiError(501, `Cannot ${req.method} ${req.path}: ${why}`, { code: "not_supported_error" }));
}
