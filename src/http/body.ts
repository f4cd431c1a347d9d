/** Reads request bodies: size limit, JSON, schema. The server limits the time. */
import type { Context } from "hono";
import type { z } from "zod";
import { ApiError } from "./api_error.ts";
import { isTooDeep, MAX_NESTING } from "./nesting.ts";

/** Largest body in bytes, equal to the daemon's frame limit. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** @throws {ApiError} If it is too large, not JSON, or does not match the schema. */
export async function readBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await readText(context.req.raw);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError(400, "The body is not JSON", { code: "invalid_json" });
  }
  if (isTooDeep(value)) {
    throw new ApiError(400, `The body is nested more than ${MAX_NESTING} levels deep`, { code: "invalid_json" });
  }
  const parsed = schema.safeParse(withoutNulls(value));
  if (parsed.success) return parsed.data;
  throw problem(parsed.error.issues);
}

/** Some clients send null for each field that they leave out, also for those that are unknown here. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

async function readText(request: Request): Promise<string> {
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new ApiError(415, `The body is encoded with ${JSON.stringify(encoding)}: send it as it is`, {
      code: "unsupported_encoding",
    });
  }
  const length = Number(request.headers.get("content-length") ?? 0);
  if (length > MAX_BODY_BYTES) throw tooLarge();
  if (request.body === null) throw new ApiError(400, "The body is empty, it must be JSON", { code: "invalid_json" });
  const reader = request.body.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      bytes += value.length;
      if (bytes > MAX_BODY_BYTES) throw tooLarge();
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    void reader.cancel().catch(() => {});
    if (error instanceof ApiError) throw error;
    if (error instanceof TypeError) throw new ApiError(400, "The body is not UTF-8", { code: "invalid_json" });
    // The client has disconnected, which is not a bug of this program.
    throw new ApiError(400, "The body is incomplete", { code: "invalid_json" });
  }
}

function tooLarge(): ApiError {
  return new ApiError(413, `The body is larger than ${MAX_BODY_BYTES} bytes`, { code: "request_too_large" });
}

/** The first problem; of a union, the first problem of the closest alternative. */
function problem(issues: readonly z.core.$ZodIssue[], outer: readonly PropertyKey[] = []): ApiError {
  const [issue] = issues;
  if (issue === undefined) return new ApiError(400, "The request is malformed");
  const path = [...outer, ...issue.path];
  if (issue.code === "invalid_union") {
    const deepest = issue.errors.toSorted((one, other) => depth(other) - depth(one))[0];
    if (deepest !== undefined && depth(deepest) > 0) return problem(deepest, path);
  }
  if (issue.code === "unrecognized_keys") {
    const param = nameOf([...path, issue.keys[0] ?? ""]);
    return new ApiError(400, `Unrecognized request argument supplied: ${param}`, { code: "unknown_parameter", param });
  }
  const param = nameOf(path);
  return new ApiError(400, `${param === "" ? "The body" : `"${param}"`}: ${issue.message}`, {
    code: "invalid_value",
    ...(param === "" ? {} : { param }),
  });
}

function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(({ path, code }) => path.length + (code === "unrecognized_keys" ? 1 : 0)));
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, key) => typeof key === "number" ? `${name}[${key}]` : name === "" ? String(key) : `${name}.${String(key)}`,
    "",
  );
}
