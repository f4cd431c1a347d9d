/**
 * One HTTP request for (the rest of) a model: redirects hop by hop, `Range` and `If-Range`, lengths, stalls. Fills a
 * partial; whether to try again is `pull.ts`'s.
 */
import { delay } from "@std/async";
import type { Partial } from "./partial.ts";
import { isSecure, shownUrl } from "./reference.ts";
import { ModelStoreError, type ModelStoreErrorCode } from "./store_error.ts";

/** Read at a time, in bytes. */
const BUFFER_BYTES = 512 * 1024;
const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Statuses below 500 that another try may get over: timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);
const SHA256_ETAG = /^"?([0-9a-f]{64})"?$/;

/** It may work the next time. */
export class BrokenTransferError extends Error {
  override readonly name = "BrokenTransferError";
  readonly code: ModelStoreErrorCode;
  readonly status: number | undefined;
  /** When the server wants to be asked again, in milliseconds. */
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

/** What is fetched, and how. */
export interface TransferOptions {
  readonly url: URL;
  /** What messages begin with. */
  readonly what: string;
  /** How long the whole is, where that is known beforehand. */
  readonly sizeBytes?: number | undefined;
  /** No byte for so long is the end of it. */
  readonly stallMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Told the length of each piece that was taken. */
  readonly onBytes: (bytes: number) => Promise<void>;
  /** Told the SHA-256 where the server names one: Hugging Face does, before it redirects to where the file is. */
  readonly onNamedSha256: (sha256: string) => void;
}

/**
 * Fetch what a partial lacks.
 *
 * @param partial Filled; whole when this resolves.
 * @param options What, and how.
 * @throws {BrokenTransferError} If it may work the next time.
 * @throws {ModelStoreError} If it will not.
 */
export async function transfer(partial: Partial, options: TransferOptions): Promise<void> {
  using watch = new StallWatch(options.stallMs, options.signal);
  for (let restarted = false;; restarted = true) {
    const from = partial.bytes;
    const response = await request(partial, options, watch);
    try {
      const answer = await readHead(partial, response, { ...options, from });
      if (answer === "start over") {
        if (restarted) throw new ModelStoreError("http", `${options.what}: the server answers with the wrong part`);
        await partial.restart();
        continue;
      }
      if (response.body === null) throw new BrokenTransferError("connection", "the answer has no body");
      await readBody(partial, response.body, { ...options, watch, totalBytes: answer.totalBytes });
      return;
    } finally {
      await response.body?.cancel().catch(() => {});
    }
  }
}

/** Ask, and follow redirects. */
async function request(partial: Partial, options: TransferOptions, watch: StallWatch): Promise<Response> {
  const { what } = options;
  const headers = new Headers({ accept: "*/*", "accept-encoding": "identity" });
  const validator = partial.state?.validator;
  if (partial.bytes > 0 && typeof validator === "string") {
    headers.set("range", `bytes=${partial.bytes}-`);
    headers.set("if-range", validator);
  }
  let url = options.url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await ask(url, headers, watch);
    const named = SHA256_ETAG.exec(response.headers.get("x-linked-etag") ?? "")?.[1];
    if (named !== undefined && hops === 0) options.onNamedSha256(named);
    if (!REDIRECTS.has(response.status)) return response;
    const location = response.headers.get("location");
    await response.body?.cancel();
    if (location === null || !URL.canParse(location, url)) {
      throw new ModelStoreError("redirect", `${what}: "${shownUrl(url)}" redirects to nowhere`);
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

/** Whether a redirect keeps what the first URL promised: https stays https, and http stays on this machine. */
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

/** Whether what comes is what the partial lacks. */
async function readHead(
  partial: Partial,
  response: Response,
  options: TransferOptions & { readonly from: number },
): Promise<{ readonly totalBytes: number | null } | "start over"> {
  const { what, from, sizeBytes, url } = options;
  const { status, headers } = response;
  const validator = validatorOf(headers);
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new ModelStoreError("http", `${what}: the server sends it encoded ("${encoding}")`, { status });
  }
  if (status === 206) {
    const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
    const state = partial.state;
    const right = from > 0 && Number(start) === from && Number(end) === Number(total) - 1 &&
      (state?.totalBytes ?? Number(total)) === Number(total) && (validator ?? state?.validator) === state?.validator;
    if (!right) return "start over";
    checkSize(Number(total), sizeBytes, what);
    return { totalBytes: Number(total) };
  }
  if (status === 416 && from > 0) return "start over";
  if (status !== 200) {
    const message = `the server answers ${status}${response.statusText === "" ? "" : ` ${response.statusText}`}`;
    if (status >= 500 || PASSING.has(status)) {
      throw new BrokenTransferError("http", message, { status, retryAfterMs: retryAfter(headers) });
    }
    throw new ModelStoreError("http", `${what}: ${message}`, { status });
  }
  // Everything, whether that was asked for or not.
  const length = headers.get("content-length");
  const totalBytes = length !== null && /^\d+$/.test(length) ? Number(length) : null;
  if (totalBytes !== null) checkSize(totalBytes, sizeBytes, what);
  await partial.restart();
  await partial.begin({ url: url.href, validator, totalBytes });
  return { totalBytes };
}

async function readBody(
  partial: Partial,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  options: TransferOptions & { readonly watch: StallWatch; readonly totalBytes: number | null },
): Promise<void> {
  const { watch, what, onBytes } = options;
  const expected = options.totalBytes ?? options.sizeBytes;
  const reader = body.getReader({ mode: "byob" });
  // Into the one while the other is hashed and written. Large ones: each read costs time.
  const read = (buffer: Uint8Array<ArrayBuffer>): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> => {
    const reading = reader.read(buffer);
    // Whoever waits for it sees it; if nobody does any more, it does not matter.
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
        throw new ModelStoreError("size", `${what}: what comes is longer than ${expected} bytes`);
      }
      reading = read(spare);
      // Only the server is watched, not the disk.
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
    throw new ModelStoreError("size", `${what}: what came is only ${partial.bytes} bytes long, not ${expected}`);
  }
}

function checkSize(total: number, sizeBytes: number | undefined, what: string): void {
  if (sizeBytes === undefined || total === sizeBytes) return;
  throw new ModelStoreError(
    "size",
    `${what}: the server says that it is ${total} bytes long, it should be ${sizeBytes}`,
  );
}

/** What `If-Range` can name: not a weak ETag. */
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

/** Why a request failed: the cause says it, behind the URL, which is known and may hold what nobody else should see. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/^error sending request for url \(.*?\): /, "");
}

/** What a failed request or read means. */
function broken(error: unknown, watch: StallWatch): unknown {
  if (watch.signal.aborted) return watch.signal.reason;
  // No permission for the host: it will not come by waiting.
  if (error instanceof Deno.errors.NotCapable) return error;
  return new BrokenTransferError("connection", reasonOf(error), {
    cause: error,
  });
}

/** Fires when nothing came for too long, and with the signal it stands in for. */
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

  /** Until the next touch. */
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
    stalled.abort(new BrokenTransferError("stalled", `no byte came for ${stallMs / 1000} s`));
  }
}
