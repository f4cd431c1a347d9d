/** Reads request bodies: size limit, JSON, schema, and how fast large ones are read. The server limits the time. */
import type { Context } from "hono";
import { MAX_MESSAGES } from "@inferd/client/protocol";
import { z } from "zod";
import { MAX_JSON_VALUES } from "../inference/json_bounds.ts";
import { isObject } from "../inference/objects.ts";
import { GradualParser, TooManyValuesError } from "../ndjson/gradual_parser.ts";
import { movedMs, type Pace } from "../ndjson/pace.ts";
import { ApiError, invalid } from "./api_error.ts";
import { hasLongTexts, withStrings } from "./long_texts.ts";
import { isTooDeep, longList, MAX_NESTING } from "./nesting.ts";
import { Slices } from "./slices.ts";

/** Largest body in bytes, equal to the daemon's frame limit. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Longer texts are parsed while they arrive, in UTF-16 units. Shorter ones cannot have too many values. */
const LARGE_LENGTH = MAX_JSON_VALUES;
/** So many elements of a list are checked at once. */
const CHECKED_AT_ONCE = 256;

/** What the server gives the handlers of a request. */
export interface Bindings {
  /** How fast large bodies are read; absent: as fast as they come. */
  readonly pace?: Pace;
}

/** For further work on the body of a request. */
export function slicesOf(context: Context): Slices {
  return new Slices(((context.env ?? {}) as Bindings).pace);
}

export interface BodyOptions {
  /** The field of an object's schema with the list that can be so long that it is checked in pieces. */
  readonly inPieces?: string;
}

/**
 * Read the body of a request. Long texts are in parts where the schema has `longText`.
 *
 * @throws {ApiError} If it is too large, not JSON, or does not match the schema.
 */
export async function readBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
  { inPieces }: BodyOptions = {},
): Promise<z.output<Schema>> {
  const slices = slicesOf(context);
  const value = await readJson(context.req.raw, slices);
  await slices.next();
  if (isTooDeep(value)) {
    throw new ApiError(400, `The body is nested more than ${MAX_NESTING} levels deep`, { code: "invalid_json" });
  }
  const long = longList(value, MAX_MESSAGES);
  if (long !== undefined) throw invalid(long, `must have at most ${MAX_MESSAGES} elements, with those within them`);
  const fields = withoutNulls(value);
  await slices.next();
  const parse = (body: unknown): Promise<Parsed> => checked(body, { schema, name: inPieces ?? "", slices });
  let parsed = await parse(fields);
  if (parsed.issues !== undefined && hasLongTexts(fields)) parsed = await parse(withStrings(fields));
  if (parsed.issues === undefined) return parsed.data as z.output<Schema>;
  throw problem(parsed.issues);
}

type Parsed = { readonly data: unknown; readonly issues?: undefined } | {
  readonly issues: readonly z.core.$ZodIssue[];
};

/** Check a body; one of its lists in pieces, of which the first that is wrong is the last. */
async function checked(
  body: unknown,
  { schema, name, slices }: { readonly schema: z.ZodType; readonly name: string; readonly slices: Slices },
): Promise<Parsed> {
  const list = isObject(body) ? body[name] : undefined;
  const field: unknown = schema instanceof z.ZodObject ? schema.shape[name] : undefined;
  if (!(field instanceof z.ZodType && Array.isArray(list) && list.length > CHECKED_AT_ONCE)) {
    return resultOf(schema.safeParse(body));
  }
  const part = z.object({ [name]: field });
  const elements: unknown[] = [];
  for (let at = 0; at < list.length; at += CHECKED_AT_ONCE) {
    await slices.next();
    const piece = resultOf(part.safeParse({ [name]: list.slice(at, at + CHECKED_AT_ONCE) }));
    if (piece.issues !== undefined) return { issues: piece.issues.map((issue) => later(issue, at, [name])) };
    elements.push(...(piece.data as Record<string, readonly unknown[]>)[name] ?? []);
  }
  const whole = resultOf(schema.safeParse({ ...body as object, [name]: list.slice(0, 1) }));
  return whole.issues === undefined ? { data: { ...whole.data as object, [name]: elements } } : whole;
}

function resultOf({ data, error }: z.ZodSafeParseResult<unknown>): Parsed {
  return error === undefined ? { data } : { issues: error.issues };
}

/** The same problem with a list of which the element `by` was the first that was checked. */
function later(issue: z.core.$ZodIssue, by: number, list: readonly PropertyKey[]): z.core.$ZodIssue {
  const index = issue.path[list.length];
  if (typeof index === "number") return { ...issue, path: issue.path.with(list.length, index + by) };
  if (issue.code !== "invalid_union") return issue;
  const errors = issue.errors.map((issues) => issues.map((inner) => later(inner, by, [])));
  return { ...issue, errors } as z.core.$ZodIssue;
}

/** Some clients send null for each field that they leave out, also for those that are unknown here. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

async function readJson(request: Request, slices: Slices): Promise<unknown> {
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
  const json = new JsonBody(slices);
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
  readonly #slices: Slices;

  constructor(slices: Slices) {
    this.#slices = slices;
  }

  /** @throws {TypeError} If it is not UTF-8. */
  async add(bytes: Uint8Array): Promise<void> {
    this.#slices.begin();
    if (this.#fault === undefined) this.#parse(this.#decoder.decode(bytes, { stream: true }));
    if (this.#parser === undefined && this.#fault === undefined) return;
    await this.#slices.next(movedMs(bytes.length));
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
      (this.#parser ??= new GradualParser({ maxValues: MAX_JSON_VALUES, inParts: true })).feed(this.#text);
    } catch (error) {
      this.#fault = error;
      this.#parser = undefined;
    }
    this.#text = "";
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
