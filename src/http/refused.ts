/** What other servers do and this one cannot: refused with 501, as llama-server does with what it was not started for. */
import type { Context } from "hono";
import { ApiError } from "./api_error.ts";

/**
 * Refuse a path.
 *
 * @param why What is not possible.
 * @returns The handler.
 */
export function refusing(why: string): (context: Context) => Promise<Response> {
  return ({ req }) =>
    Promise.reject(new ApiError(501, `Cannot ${req.method} ${req.path}: ${why}`, { code: "not_supported_error" }));
}
