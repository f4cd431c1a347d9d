/**
 * What a server says when it fails, and whose fault that is. Its words go to the caller where the caller is to blame,
 * cut short; they go nowhere else, because servers repeat what they were asked, which no log may hold.
 */
import { z } from "zod";
import { BackendUnavailableError, InvalidRequestError } from "./backend.ts";

/** How much of a server's text is repeated, in UTF-16 units. */
const SHOWN_LENGTH = 300;

/** A request that cannot be served as it is: too long, or with something this server does not take. */
const CALLERS_FAULT: ReadonlySet<number> = new Set([400, 413, 422]);

/** Sent with one of those by some servers, and yet the configuration's fault. */
const OPERATORS_FAULT: ReadonlySet<string> = new Set(["invalid_api_key", "model_not_found"]);

/** What may be told of a code: a word, not a text. */
const CODE = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** A failure as a server told it. */
export interface UpstreamFailure {
  readonly status: number | undefined;
  /** A word such as `rate_limit_exceeded`. */
  readonly code: string | undefined;
  readonly message: string | undefined;
}

const word = z.string().regex(CODE).optional().catch(undefined);
const details = z.object({
  code: z.union([z.int(), z.string()]).optional().catch(undefined),
  type: word,
  message: z.string().optional().catch(undefined),
});
/** OpenAI's and llama-server's; a bare text; FastAPI's, and its list of fields that are wrong; vLLM's older one. */
const body = z.union([
  z.object({ error: details }).transform(({ error }) => error),
  z.object({ error: z.string() }).transform(({ error }) => ({ message: error, code: undefined, type: undefined })),
  z.object({ detail: z.string() }).transform(({ detail }) => ({ message: detail, code: undefined, type: undefined })),
  z.object({ detail: z.array(z.object({ msg: z.string(), loc: z.array(z.union([z.string(), z.int()])).catch([]) })) })
    .transform(({ detail }) => ({ message: detail.map(toSentence).join("; "), code: undefined, type: undefined })),
  details,
]);

/**
 * Read what a server said.
 *
 * @param value Parsed JSON, or whatever else it was.
 * @param status Of the HTTP response; absent in the middle of an answer.
 */
export function toFailure(value: unknown, status?: number): UpstreamFailure {
  const { code, type, message } = body.safeParse(value).data ?? {};
  const number = Number(code);
  return {
    status: status ?? (number >= 400 && number < 600 ? number : type === "invalid_request_error" ? 400 : undefined),
    code: typeof code === "string" && CODE.test(code) ? code : type,
    message,
  };
}

/** One of the fields that are wrong, e.g. `body.top_k: Input should be a valid integer`. */
function toSentence({ loc, msg }: { readonly loc: readonly (string | number)[]; readonly msg: string }): string {
  return loc.length === 0 ? msg : `${loc.join(".")}: ${msg}`;
}

/** Who failed. */
export interface Upstream {
  /** The backend's name. */
  readonly name: string;
  /** The key it was asked with: some servers repeat it. */
  readonly secret: string | undefined;
}

/** The failure as the daemon knows it. */
export function toUpstreamError({ status, code, message }: UpstreamFailure, { name, secret }: Upstream): Error {
  const hide = (text: string): string => secret === undefined ? text : text.replaceAll(secret, "[REDACTED]");
  const told = [...(status === undefined ? [] : [`HTTP ${status}`]), ...(code === undefined ? [] : [hide(code)])]
    .join(", ");
  if (status !== undefined && CALLERS_FAULT.has(status) && !OPERATORS_FAULT.has(code ?? "")) {
    return new InvalidRequestError(`Backend "${name}" refused the request: ${shorten(hide(message ?? "")) || told}`);
  }
  return new BackendUnavailableError(`Backend "${name}" failed${told === "" ? "" : ` (${told})`}`);
}

/** One line without control characters. */
function shorten(text: string): string {
  const line = text.slice(0, 4 * SHOWN_LENGTH).replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH)}…` : line;
}
