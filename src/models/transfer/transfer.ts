/**
 * One HTTP request for (the rest of) a model: redirects, `Range` and `If-Range`, lengths, stalls. Appends to a partial;
 * `download.ts` decides about retries.
 */
import { delay } from "@std/async";
import type { Header } from "./access.ts";
import { GgufError } from "../file/gguf.ts";
import type { Partial } from "./partial.ts";
import { isSecure, shownUrl } from "./reference.ts";
import { ModelStoreError, type ModelStoreErrorCode } from "../store/store_error.ts";

const BUFFER_BYTES = 512 * 1024;
const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Transient statuses below 500: timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);
const SHA256_ETAG = /^"?([0-9a-f]{64})"?$/;

/** A transient failure; a retry may succeed. */
export class BrokenTransferError extends Error {
  override readonly name = "BrokenTransferError";
  readonly code: ModelStoreErrorCode;
  readonly status: number | undefined;
  /** `Retry-After` in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ModelStoreErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly status?: number; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface TransferOptions {
  readonly url: URL;
  /** Model name, recorded in the partial. */
  readonly name: string;
  /** Hash of the URL or of the expected content, recorded in the partial. */
  readonly source: string;
  /** Start of error messages. */
  readonly what: string;
  /** Credential headers for a request to this URL or to a redirect target. Absent: none. */
  readonly credentials?: (hop: URL) => readonly Header[];
  /** Total size, if known beforehand. */
  readonly sizeBytes?: number | undefined;
  /** The transfer ends when no data arrives for this long. */
  readonly stallMs: number;
  /** Whether the URL's content never changes and its hash is known: a partial then resumes without a validator. */
  readonly immutable?: boolean | undefined;
  /** Advice for a refusal, if any. */
  readonly refusalHelp?: (refusal: { readonly hop: URL; readonly status: number }) => string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the length of each chunk received. */
  readonly onBytes: (bytes: number) => Promise<void>;
  /** Called with the server's metadata before the body is read; throwing ends the transfer. */
  readonly onHead: (head: FileHead) => Promise<void>;
}

/** Server metadata of a file. */
export interface FileHead {
  /** Stated by Hugging Face before it redirects to the file. */
  readonly sha256?: string;
  /** Total size. */
  readonly totalBytes?: number;
}

/**
 * Fetch the missing part of a partial.
 *
 * @param partial Appended to; complete on return, unless its length is unknown.
 * @returns Whether its length is known.
 * @throws {BrokenTransferError} If a retry may succeed.
 * @throws {ModelStoreError} If it would not.
 */
export async function transfer(partial: Partial, options: TransferOptions): Promise<boolean> {
  using watch = new StallWatch(options.stallMs, options.signal);
  for (let restarted = false;; restarted = true) {
    const from = partial.bytes;
    const { response, hop } = await request(partial, options, watch);
    try {
      const answer = await readHead(partial, response, { ...options, from, hop });
      if (answer === "nothing is left") return partial.state?.totalBytes === partial.bytes;
      if (answer === "start over") {
        if (restarted) throw new ModelStoreError("http", `${options.what}: the server answers with the wrong part`);
        await partial.restart();
        continue;
      }
      if (response.body === null) throw new BrokenTransferError("connection", "the answer has no body");
      await readBody(partial, response.body, { ...options, watch, totalBytes: answer.totalBytes });
      return answer.totalBytes !== null || options.sizeBytes !== undefined;
    } finally {
      await response.body?.cancel().catch(() => {});
    }
  }
}

/** Sends the request and follows redirects. `hop` is the URL that answered. */
async function request(
  partial: Partial,
  options: TransferOptions,
  watch: StallWatch,
): Promise<{ readonly response: Response; readonly hop: URL }> {
  const { what, immutable = false } = options;
  let url = options.url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const credentials = options.credentials?.(url) ?? [];
    const response = await ask(url, requestHeaders(partial, { credentials, immutable }), watch);
    if (hops === 0) await tellHead(response, options);
    if (!REDIRECTS.has(response.status)) return { response, hop: url };
    const location = response.headers.get("location");
    await response.body?.cancel();
    if (location === null || !URL.canParse(location, url)) {
      throw new ModelStoreError("redirect", `${what}: "${shownUrl(url)}" redirects without a location`);
    }
    const next = new URL(location, url);
    if (!isSafeRedirect(url, next)) {
      throw new ModelStoreError(
        "insecure",
        `${what}: "${shownUrl(url)}" redirects to "${shownUrl(next)}", which is not https`,
      );
    }
    url = next;
  }
  throw new ModelStoreError("redirect", `${what}: more than ${MAX_REDIRECTS} redirects`);
}

function requestHeaders(
  partial: Partial,
  { credentials, immutable }: { readonly credentials: readonly Header[]; readonly immutable: boolean },
): Headers {
  const headers = new Headers({ accept: "*/*", "accept-encoding": "identity" });
  for (const [name, value] of credentials) headers.append(name, value);
  const validator = partial.state?.validator;
  if (partial.bytes > 0 && (immutable || typeof validator === "string")) {
    headers.set("range", `bytes=${partial.bytes}-`);
    if (!immutable && typeof validator === "string") headers.set("if-range", validator);
  }
  return headers;
}

/** Reports the metadata that Hugging Face sends with its redirect. */
async function tellHead({ headers, body }: Response, { onHead }: TransferOptions): Promise<void> {
  const sha256 = SHA256_ETAG.exec(headers.get("x-linked-etag") ?? "")?.[1];
  if (sha256 === undefined) return;
  const size = headers.get("x-linked-size") ?? "";
  try {
    await onHead({ sha256, ...(/^\d+$/.test(size) ? { totalBytes: Number(size) } : {}) });
  } catch (error) {
    await body?.cancel();
    throw error;
  }
}

/** Whether a redirect keeps the security of the original URL: https stays https, and http stays on this machine. */
export function isSafeRedirect(from: URL, to: URL): boolean {
  return isSecure(to) && (from.protocol !== "https:" || to.protocol === "https:");
}

async function ask(url: URL, headers: Headers, watch: StallWatch): Promise<Response> {
  try {
    return await fetch(url, { headers, redirect: "manual", signal: watch.signal });
  } catch (error) {
    throw broken(error, watch);
  } finally {
    watch.touch();
  }
}

/** Checks that the response continues the partial. */
async function readHead(
  partial: Partial,
  response: Response,
  options: TransferOptions & { readonly from: number; readonly hop: URL },
): Promise<{ readonly totalBytes: number | null } | "start over" | "nothing is left"> {
  const { what, from, sizeBytes, onHead } = options;
  const { status, headers } = response;
  const validator = validatorOf(headers);
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new ModelStoreError("http", `${what}: the server sends it encoded ("${encoding}")`, { status });
  }
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    const [start, end] = [Number(range?.[1]), Number(range?.[2])];
    const total = range?.[3] === "*" ? null : Number(range?.[3]);
    const state = partial.state;
    const sameVersion = options.immutable || (validator ?? state?.validator) === state?.validator;
    const right = range !== null && from > 0 && start === from && (total === null || end === total - 1) &&
      (state?.totalBytes ?? total) === total && sameVersion;
    if (!right) return "start over";
    if (total !== null) checkSize(total, sizeBytes, what);
    return { totalBytes: total };
  }
  if (status === 416 && from > 0) {
    // The range starts at the end of the file: it is complete, and the server may confirm it.
    const total = /^bytes \*\/(\d+)$/.exec(headers.get("content-range") ?? "")?.[1];
    if (total === undefined) return await mayBeWhole(partial) ? "nothing is left" : "start over";
    if (Number(total) !== from) return "start over";
    checkSize(from, sizeBytes, what);
    await partial.complete();
    return "nothing is left";
  }
  if (status !== 200) throw refused(response, options);
  // The whole file, whether or not a range was requested.
  const length = headers.get("content-length");
  const totalBytes = length !== null && /^\d+$/.test(length) ? Number(length) : null;
  if (totalBytes !== null) {
    checkSize(totalBytes, sizeBytes, what);
    await onHead({ totalBytes });
  }
  await partial.restart();
  await partial.begin({ source: options.source, name: options.name, validator, totalBytes });
  return { totalBytes };
}

function refused(
  { status, statusText, headers }: Response,
  { what, url, hop, refusalHelp }: TransferOptions & { readonly hop: URL },
): BrokenTransferError | ModelStoreError {
  const who = hop.origin === url.origin ? "the server" : `"${hop.host}", where the server redirects to,`;
  const message = `${who} answers ${status}${statusText === "" ? "" : ` ${statusText}`}`;
  if (status >= 500 || PASSING.has(status)) {
    return new BrokenTransferError("http", message, { status, retryAfterMs: retryAfter(headers) });
  }
  const help = refusalHelp?.({ hop, status });
  return new ModelStoreError("http", `${what}: ${message}${help === undefined ? "" : `: ${help}`}`, { status });
}

/** Whether all tensors are present: the best available check if the server does not state the length. */
async function mayBeWhole(partial: Partial): Promise<boolean> {
  try {
    return (await partial.readHead()).requiredBytes <= partial.bytes;
  } catch (error) {
    if (error instanceof GgufError) return false;
    throw error;
  }
}

async function readBody(
  partial: Partial,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  options: TransferOptions & { readonly watch: StallWatch; readonly totalBytes: number | null },
): Promise<void> {
  const { watch, what, onBytes } = options;
  const expected = options.totalBytes ?? options.sizeBytes;
  const reader = body.getReader({ mode: "byob" });
  // Double buffering: one is filled while the other is hashed and written. Large, because each read costs time.
  const read = (buffer: Uint8Array<ArrayBuffer>): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> => {
    const reading = reader.read(buffer);
    // Whoever awaits it sees the error; otherwise it does not matter.
    reading.catch(() => {});
    return reading;
  };
  let reading = read(new Uint8Array(BUFFER_BYTES));
  let spare = new Uint8Array(BUFFER_BYTES);
  try {
    while (true) {
      const { done, value } = await reading.catch((error) => {
        throw broken(error, watch);
      });
      if (done) break;
      if (expected !== undefined && partial.bytes + value.length > expected) {
        throw new ModelStoreError("size", `${what}: the response is longer than ${expected} bytes`);
      }
      reading = read(spare);
      // Only the server is monitored, not the disk.
      watch.pause();
      await partial.append(value);
      await onBytes(value.length);
      watch.touch();
      spare = new Uint8Array(value.buffer);
    }
  } finally {
    await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
  if (options.totalBytes !== null && partial.bytes < options.totalBytes) {
    throw new BrokenTransferError("connection", `the connection ended after ${partial.bytes} bytes`);
  }
  if (expected !== undefined && partial.bytes < expected) {
    throw new ModelStoreError("size", `${what}: the download is only ${partial.bytes} bytes long, not ${expected}`);
  }
}

function checkSize(total: number, sizeBytes: number | undefined, what: string): void {
  if (sizeBytes === undefined || total === sizeBytes) return;
  throw new ModelStoreError(
    "size",
    `${what}: the server says that it is ${total} bytes long, it should be ${sizeBytes}`,
  );
}

/** Validator for `If-Range`: no weak ETags. */
function validatorOf(headers: Headers): string | null {
  const etag = headers.get("etag");
  if (etag !== null && etag.startsWith('"')) return etag;
  return headers.get("last-modified");
}

function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}

/** Reason of a failed request: the cause, because the message contains the URL, which may hold secrets. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/^error sending request for url \(.*?\): /, "").replace(/^client error \(\w+\): /, "");
}

function broken(error: unknown, watch: StallWatch): unknown {
  if (watch.signal.aborted) return watch.signal.reason;
  // Missing permission for the host: retrying is pointless.
  if (error instanceof Deno.errors.NotCapable) return error;
  return new BrokenTransferError("connection", reasonOf(error), { cause: error });
}

/** Aborts on a stall, or with the given signal. */
class StallWatch implements Disposable {
  readonly signal: AbortSignal;
  readonly #ended = new AbortController();
  #last = performance.now();

  constructor(stallMs: number, signal: AbortSignal | undefined) {
    const stalled = new AbortController();
    this.signal = signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]);
    this.#watch(stallMs, stalled).catch(() => {});
  }

  touch(): void {
    this.#last = performance.now();
  }

  /** Stops the timer until the next touch. */
  pause(): void {
    this.#last = Infinity;
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
  }

  async #watch(stallMs: number, stalled: AbortController): Promise<void> {
    while (true) {
      const left = Math.min(stallMs, this.#last + stallMs - performance.now());
      if (left <= 0) break;
      await delay(left, { signal: this.#ended.signal });
    }
    stalled.abort(new BrokenTransferError("stalled", `no data received for ${stallMs / 1000} s`));
  }
}
