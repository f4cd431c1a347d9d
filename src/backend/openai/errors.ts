/**
 * Parses a server's error and decides whose fault it is. Its text, truncated, is passed to the caller if the request is
 * at fault, and goes nowhere else: servers quote the request, which no log may hold.
 *
 * Known forms, possibly nested:
 * - `{"error": {"message", "type", "code", "param"}}`: OpenAI, vLLM, SGLang, llama-server, Groq; Gemini puts it in a
 *   list
 * - `{"object": "error", "message", …}`: older vLLM; Mistral, with FastAPI's list as the message, also as a JSON string
 * - `{"detail": "…"}`, `{"detail": [{"loc", "msg"}]}`: FastAPI
 * - `{"error": "…", "error_type"}`: TGI, LM Studio; `{"code", "details"}` in an event named `error`
 * - `{"error": {…, "metadata": {"raw"}}}`: OpenRouter, with the upstream server's error
 */
import { BackendUnavailableError, ContextLengthError, InvalidRequestError } from "../../inference/errors.ts";
import { isObject } from "../../inference/objects.ts";
import { parseJson } from "./values.ts";

/** Maximum length of a server's text in messages, in UTF-16 units. */
const SHOWN_LENGTH = 300;

/** Maximum nesting of forms. */
const MAX_NESTING = 5;

/** Statuses for a request at fault: too long, or with something the server does not support. */
const CALLERS_FAULT: ReadonlySet<number> = new Set([400, 413, 422]);

/** Codes for a prompt that is too long. */
export const TOO_LONG_CODES: ReadonlySet<string> = new Set(["context_length_exceeded", "exceed_context_size_error"]);

/** Codes for a request at fault, for errors without a status in the middle of an answer. */
const CALLERS_CODES: ReadonlySet<string> = new Set([
  "BadRequestError",
  "INVALID_ARGUMENT",
  ...TOO_LONG_CODES,
  "invalid_prompt",
  "invalid_request_error",
  "validation",
]);

/** Sent with such a status by some servers, yet due to configuration. */
const OPERATORS_FAULT: ReadonlySet<string> = new Set(["invalid_api_key", "model_not_found"]);

/** A code may be repeated if it is a single word. */
const CODE = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** FastAPI's path where vLLM prints the list in Python syntax. */
const PYTHON_LOC = /'loc': [([]([^)\]]*)/g;

/** Keys that hold an error message, most specific first. */
const MESSAGES = ["message", "msg", "detail", "details", "error", "errors", "reason"] as const;

export interface UpstreamFailure {
  readonly status: number | undefined;
  /** A word such as `rate_limit_exceeded`. */
  readonly code: string | undefined;
  readonly message: string | undefined;
  /** Paths of the request's fields it concerns: `["stream_options", "include_usage"]`. */
  readonly fields: readonly (readonly string[])[];
}

export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure) {
    super("The server reported a failure");
    this.failure = failure;
  }
}

/**
 * Parse a server's failure.
 *
 * @param value Parsed JSON, or any other value.
 * @param status HTTP status; absent in the middle of an answer.
 */
export function toFailure(value: unknown, status?: number): UpstreamFailure {
  const said = Array.isArray(value) ? value[0] : value;
  const details = isObject(said) && isObject(said.error) ? said.error : isObject(said) ? said : {};
  const type = wordOf(details.type) ?? wordOf(details.status) ?? wordOf(isObject(said) ? said.error_type : undefined);
  const code = wordOf(details.code) ?? type;
  const number = Number(details.code);
  const ours = code !== undefined && CALLERS_CODES.has(code) || type !== undefined && CALLERS_CODES.has(type);
  const fields: string[][] = [];
  const message = readMessage(said, fields, MAX_NESTING);
  return {
    status: status ?? (number >= 400 && number < 600 ? number : ours ? 400 : undefined),
    code,
    message: message === "" ? undefined : message,
    fields,
  };
}

/** Extracts the message; adds the fields it names to `fields`. */
function readMessage(value: unknown, fields: string[][], depth: number): string {
  if (depth === 0) return "";
  if (typeof value === "string") {
    for (const [, path = ""] of value.matchAll(PYTHON_LOC)) addField(path.split(",").map(unquoted), fields);
    const inner = /^\s*[[{]/.test(value) ? parseJson(value) : undefined;
    return (inner === undefined ? "" : readMessage(inner, fields, depth - 1)) || value;
  }
  if (Array.isArray(value)) {
    return value.map((entry) => readMessage(entry, fields, depth - 1)).filter((text) => text !== "").join("; ");
  }
  if (!isObject(value)) return "";
  addField(Array.isArray(value.loc) ? value.loc.map(String) : pathOf(value.param), fields);
  const raw = isObject(value.metadata) ? readMessage(value.metadata.raw, fields, depth - 1) : "";
  const texts = MESSAGES.map((key) => readMessage(value[key], fields, depth - 1));
  const text = raw || (texts.find((text) => text !== "") ?? "");
  return Array.isArray(value.loc) && value.loc.length > 0 && text !== "" ? `${value.loc.join(".")}: ${text}` : text;
}

function addField(path: readonly string[], fields: string[][]): void {
  if (path.length > 0) fields.push(path[0] === "body" ? path.slice(1) : [...path]);
}

function unquoted(text: string): string {
  return text.trim().replace(/^(['"])(.*)\1$/, "$2");
}

/** Splits a path such as `tools[0].function.strict`. */
function pathOf(param: unknown): string[] {
  return typeof param === "string" ? param.split(/[.[\]]+/).filter((part) => part !== "") : [];
}

function wordOf(value: unknown): string | undefined {
  return typeof value === "string" && CODE.test(value) ? value : undefined;
}

/** The server that failed. */
export interface Upstream {
  readonly name: string;
  /** The API key, redacted from messages: some servers quote it. */
  readonly secret: string | undefined;
}

/** Convert a failure to the daemon's error class. */
export function toBackendError({ status, code, message }: UpstreamFailure, { name, secret }: Upstream): Error {
  const hide = (text: string): string => secret === undefined ? text : text.replaceAll(secret, "[REDACTED]");
  const told = [...(status === undefined ? [] : [`HTTP ${status}`]), ...(code === undefined ? [] : [hide(code)])]
    .join(", ");
  if (status !== undefined && CALLERS_FAULT.has(status) && !OPERATORS_FAULT.has(code ?? "")) {
    const refused = `Backend "${name}" refused the request: ${shorten(hide(message ?? "")) || told}`;
    return TOO_LONG_CODES.has(code ?? "") ? new ContextLengthError(refused) : new InvalidRequestError(refused);
  }
  return new BackendUnavailableError(`Backend "${name}" failed${told === "" ? "" : ` (${told})`}`);
}

/** Truncates to one line without control characters. */
function shorten(text: string): string {
  const line = text.slice(0, 4 * SHOWN_LENGTH).replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH)}…` : line;
}
