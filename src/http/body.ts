/** Reads request bodies: size limit, JSON, schema, and how fast large ones are read. The server limits the time. */
import type { Context } from "hono";
import { MAX_MESSAGES } from "@inferd/client/protocol";
import type { z } from "zod";
import { MAX_JSON_VALUES } from "../inference/json_bounds.ts";
import { turn } from "../inference/turn.ts";
import { GradualParser, TooManyValuesError } from "../ndjson/gradual_parser.ts";
import { movedMs, type Pace, UNPACED } from "../ndjson/pace.ts";
import { ApiError, invalid } from "./api_error.ts";
import { isTooDeep, longList, MAX_NESTING } from "./nesting.ts";

/** Largest body in bytes, equal to the daemon's frame limit. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Longer texts are parsed while they arrive, in UTF-16 units. Shorter ones cannot have too many values. */
const LARGE_LENGTH = MAX_JSON_VALUES;
/** How long they are parsed before others run, in milliseconds, give or take a read. */
const PARSE_MS = 8;

/** How long the reading of one body pauses for others, all pauses together, in milliseconds. */
export const MOST_PAUSED_MS = 10_000;

/** What the server gives the handlers of a request. */
export interface Bindings {
  /** How fast large bodies are read; absent: as fast as they come. */
  readonly pace?: Pace;
}

/** @throws {ApiError} If it is too large, not JSON, or does not match the schema. */
export async function readBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { pace = UNPACED } = (context.env ?? {}) as Bindings;
  const value = await readJson(context.req.raw, pace);
  if (isTooDeep(value)) {
    throw new ApiError(400, `The body is nested more than ${MAX_NESTING} levels deep`, { code: "invalid_json" });
  }
  const long = longList(value, MAX_MESSAGES);
  if (long !== undefined) throw invalid(long, `must have at most ${MAX_MESSAGES} elements, with those within them`);
  const parsed = schema.safeParse(withoutNulls(value));
  if (parsed.success) return parsed.data;
  throw problem(parsed.error.issues);
}

/** Some clients send null for each field that they leave out, also for those that are unknown here. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

async function readJson(request: Request, pace: Pace): Promise<unknown> {
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
  const json = new JsonBody(pace);
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
      if (bytes > MAX_BODY_BYTES) throw tooLarge();
      await json.add(value);
    }
    json.end();
  } catch (error) {
    void reader.cancel().catch(() => {});
    if (error instanceof ApiError) throw error;
    if (error instanceof TypeError) throw new ApiError(400, "The body is not UTF-8", { code: "invalid_json" });
    // The client has disconnected, which is not a bug of this program.
    throw new ApiError(400, "The body is incomplete", { code: "invalid_json" });
  }
  return json.take();
}

/** The text of a body; a large one is parsed while it arrives, since nobody is served while megabytes are parsed. */
class JsonBody {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #text = "";
  #parser: GradualParser | undefined;
  #fault: unknown;
  readonly #pace: Pace;
  #workedMs = 0;
  #pausedMs = 0;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** @throws {TypeError} If it is not UTF-8. */
  async add(bytes: Uint8Array): Promise<void> {
    const start = performance.now();
    if (this.#fault === undefined) this.#parse(this.#decoder.decode(bytes, { stream: true }));
    if (this.#parser === undefined && this.#fault === undefined) return;
    this.#workedMs += performance.now() - start + movedMs(bytes.length);
    if (this.#workedMs >= PARSE_MS) await this.#rest();
  }

  /**
   * It is complete.
   *
   * @throws {TypeError} If it is not UTF-8.
   */
  end(): void {
    if (this.#fault === undefined) this.#parse(this.#decoder.decode());
  }

  #parse(text: string): void {
    this.#text += text;
    if (this.#parser === undefined && this.#text.length <= LARGE_LENGTH) return;
    try {
      (this.#parser ??= new GradualParser(MAX_JSON_VALUES)).feed(this.#text);
    } catch (error) {
      this.#fault = error;
      this.#parser = undefined;
    }
    this.#text = "";
  }

  async #rest(): Promise<void> {
    const start = performance.now();
    await ((this.#pausedMs < MOST_PAUSED_MS ? this.#pace.rest(this.#workedMs) : undefined) ?? turn());
    this.#pausedMs += performance.now() - start;
    this.#workedMs = 0;
  }

  /** @throws {ApiError} If it is not JSON, or has too many values. */
  take(): unknown {
    try {
      if (this.#fault !== undefined) throw this.#fault;
      return this.#parser === undefined ? JSON.parse(this.#text) : this.#parser.finish();
    } catch (error) {
      const what = error instanceof TooManyValuesError
        ? `holds more than ${MAX_JSON_VALUES} JSON values`
        : "is not JSON";
      throw new ApiError(400, `The body ${what}`, { code: "invalid_json" });
    }
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
