/** Calls the server, with an API key if needed, and reads streamed responses. */

const KEY = "inferd-api-key";

/** The server refused or is unreachable. */
export class RequestError extends Error {
  /**
   * @param {string} message For a person.
   * @param {number} status The HTTP status; 0 without a response.
   * @param {string} [code] The error code.
   */
  constructor(message, status, code) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
  }
}

/** @param {string} key The API key; kept until the tab is closed. */
export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

/**
 * @param {string} path
 * @param {{ body?: unknown, signal?: AbortSignal, method?: string }} [options] The body is sent as JSON.
 * @returns {Promise<Response>} A successful response.
 * @throws {RequestError} If it failed; the signal's reason if it was aborted.
 */
export async function ask(path, { body, signal, method = body === undefined ? "GET" : "POST" } = {}) {
  const key = sessionStorage.getItem(KEY);
  let response;
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      headers: {
        ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError("The server cannot be reached", 0);
  }
  if (response.ok) return response;
  const told = await response.json().then(readError, () => undefined);
  throw new RequestError(told?.message ?? `The server answers ${response.status}`, response.status, told?.code);
}

/**
 * Extract the message of an error in the format of any API.
 *
 * @param {any} body A body or an event of a stream.
 * @returns {{ message: string, code?: string } | undefined} `undefined` if it is not an error.
 */
export function readError(body) {
  const error = body?.error;
  if (typeof error === "string") return { message: error };
  if (typeof error?.message !== "string") return undefined;
  return { message: error.message, code: error.code ?? undefined };
}

/**
 * @param {Response} response
 * @returns {AsyncGenerator<string, void, void>} Its non-empty lines, as they arrive.
 */
export async function* linesOf(response) {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield line;
    }
    if (rest !== "") yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}
