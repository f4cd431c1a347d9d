/** Asks the server, with the key where one is needed, and reads what comes in pieces. */

const KEY = "inferd-api-key";

/** The server refused, or could not be reached. */
export class RequestError extends Error {
  /**
   * @param {string} message For a person.
   * @param {number} status The HTTP status; 0 where there was no answer.
   * @param {string} [code] The word that the error is told by.
   */
  constructor(message, status, code) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
  }
}

/** @param {string} key What the server asks for; kept until the tab is closed. */
export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

/**
 * Ask.
 *
 * @param {string} path Where.
 * @param {{ body?: unknown, signal?: AbortSignal, method?: string }} [options] A body is sent as JSON.
 * @returns {Promise<Response>} An answer that is no error.
 * @throws {RequestError} If it is one; the signal's reason if it was aborted.
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
 * What an error says, in any of the forms that the APIs have.
 *
 * @param {any} body A body, or a piece of a stream.
 * @returns {{ message: string, code?: string } | undefined} `undefined` if it is no error.
 */
export function readError(body) {
  const error = body?.error;
  if (typeof error === "string") return { message: error };
  if (typeof error?.message !== "string") return undefined;
  return { message: error.message, code: error.code ?? undefined };
}

/**
 * The lines of an answer as they come.
 *
 * @param {Response} response The answer.
 * @returns {AsyncGenerator<string, void, void>} Lines that are not empty.
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
