/**
 * What a server says when it fails, and whose fault that is. Its words go to the caller where the caller is to blame,
 * cut short; they go nowhere else, because servers repeat what they were asked, which no log may hold.
 *
 * Forms that occur, alone or one in another:
 * - `{"error": {"message", "type", "code", "param"}}`: OpenAI, vLLM, SGLang, llama-server, Groq; Gemini puts it in a list
 * - `{"object": "error", "message", …}`: older vLLM; Mistral, with FastAPI's list as the message, also as JSON in a text
 * - `{"detail": "…"}`, `{"detail": [{"loc", "msg"}]}`: FastAPI
 * - `{"error": "…", "error_type"}`: TGI, LM Studio; `{"code", "details"}` in an event named `error`
 * - `{"error": {…, "metadata": {"raw"}}}`: OpenRouter, with what the server behind it said
 */
import { BackendUnavailableError, ContextLengthError, InvalidRequestError } from "../../inference/errors.ts";
import { isObject, parseJson } from "./values.ts";

/** How much of a server's text is repeated, in UTF-16 units. */
const SHOWN_LENGTH = 300;

/** How deep forms lie in one another. */
const MAX_NESTING = 5;

/** A request that cannot be served as it is: too long, or with something this server does not take. */
const CALLERS_FAULT: ReadonlySet<number> = new Set([400, 413, 422]);

/** Say that it is the prompt's length. */
const TOO_LONG_CODES: ReadonlySet<string> = new Set(["context_length_exceeded", "exceed_context_size_error"]);

/** Say the same where there is no status, in the middle of an answer. */
const CALLERS_CODES: ReadonlySet<string> = new Set([
  "BadRequestError",
  "INVALID_ARGUMENT",
  ...TOO_LONG_CODES,
  "invalid_prompt",
  "invalid_request_error",
  "validation",
]);

/** Sent with one of those by some servers, and yet the configuration's fault. */
const OPERATORS_FAULT: ReadonlySet<string> = new Set(["invalid_api_key", "model_not_found"]);

/** What may be repeated of a code: a word, not a text. */
const CODE = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** FastAPI's path where vLLM writes its list as Python does. */
const PYTHON_LOC = /'loc': [([]([^)\]]*)/g;

/** Keys that hold what went wrong, the most telling first. */
const MESSAGES = ["message", "msg", "detail", "details", "error", "errors", "reason"] as const;

/** A failure as a server reported it. */
export interface UpstreamFailure {
  readonly status: number | undefined;
  /** A word such as `rate_limit_exceeded`. */
  readonly code: string | undefined;
  readonly message: string | undefined;
  /** The fields of the request it is about, each as a path: `["stream_options", "include_usage"]`. */
  readonly fields: readonly (readonly string[])[];
}

/** A server's answer to a request is that it failed. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure) {
    super("The server says that it failed");
    this.failure = failure;
  }
}

/**
 * Read what a server said.
 *
 * @param value Parsed JSON, or whatever else it was.
 * @param status Of the HTTP response; absent in the middle of an answer.
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

/** The words of a failure; the fields it names are added to `fields`. */
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

/** `tools[0].function.strict` as its parts. */
function pathOf(param: unknown): string[] {
  return typeof param === "string" ? param.split(/[.[\]]+/).filter((part) => part !== "") : [];
}

function wordOf(value: unknown): string | undefined {
  return typeof value === "string" && CODE.test(value) ? value : undefined;
}

/** Who failed. */
export interface Upstream {
  /** The backend's name. */
  readonly name: string;
  /** The key it was asked with: some servers repeat it. */
  readonly secret: string | undefined;
}

/** The failure as the daemon knows it. */
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

/** One line without control characters. */
function shorten(text: string): string {
  const line = text.slice(0, 4 * SHOWN_LENGTH).replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH)}…` : line;
}
