/**
 * Downloads one file into a partial: retries, reports progress, and decides when the file is complete. `transfer.ts`
 * makes a single HTTP request; `pull.ts` decides what happens with the file.
 */
import { delay } from "@std/async";
import type { LoadPhase } from "@inferd/client/protocol";
import { type Access, accessHeaders, refusalHelp } from "./access.ts";
import { GgufError, type GgufHead } from "../file/gguf.ts";
import { partialDir } from "../store/layout.ts";
import { Partial } from "./partial.ts";
import { shownUrl } from "./reference.ts";
import { createSha256 } from "../file/sha256.ts";
import { ModelStoreError } from "../store/store_error.ts";
import { BrokenTransferError, type FileHead, transfer } from "./transfer.ts";

const RETRIES = 5;
const BACKOFF_MS = 1000;
/** Maximum `Retry-After` to honour, in milliseconds. */
const MAX_WAIT_MS = 60_000;
const STALL_MS = 60_000;
/** A failure after this many new bytes resets the retry count. */
const GAIN_BYTES = 32 * 1024 * 1024;
const PROGRESS_MS = 5000;
/** Without a Content-Length, try to parse the GGUF header after this many bytes, then after twice as many. */
const LOOK_BYTES = 1024 * 1024;
/** Allowed bytes after the tensors of a file without Content-Length. */
const SLACK_BYTES = 64 * 1024;
/** Maximum size if only the file's own header states it, because a header can claim anything. */
const MAX_UNSTATED_BYTES = 256 * 1024 ** 3;

/** Stages of a pull: first chunk written, before verification, … */
export type PullStage = "partial" | "verify" | "verified" | "renamed" | "manifest";

export interface DownloadOptions {
  readonly access?: Access | undefined;
  /** Called when a phase that takes time begins: `checking_local`, `download`, `verify`, `quarantine`. */
  readonly onPhase?: ((phase: LoadPhase) => void) | undefined;
  /** Called once if another process pulls the same file. */
  readonly onWait?: (() => void) | undefined;
  readonly onRetry?: ((retry: PullRetry) => void) | undefined;
  /** Cancels; the partial is kept for the next attempt. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the file's length before the download, if the server sends it. Throwing ends the download. */
  readonly onLength?: ((bytes: number) => void) | undefined;
  /** Interval of progress reports. Default: 5000. */
  readonly progressMs?: number | undefined;
  /** Default: 60 000. */
  readonly stallMs?: number | undefined;
  /** Back-off before the first retry; doubles each time. Default: 1000. */
  readonly backoffMs?: number | undefined;
  /** Called at each stage; tests interrupt there. */
  readonly onStage?: ((stage: PullStage) => unknown) | undefined;
}

/** A failed attempt that is retried. */
export interface PullRetry {
  /** 1 … 5. */
  readonly attempt: number;
  readonly attempts: number;
  /** Reason, on one line. */
  readonly reason: string;
  readonly delayMs: number;
}

export interface DownloadSpec {
  readonly root: string;
  readonly url: URL;
  /** Start of error messages. */
  readonly what: string;
  /** Model name, recorded in the partial. */
  readonly name: string;
  /** Key of its partial; default: hash of the URL. */
  readonly key?: string | undefined;
  /** Lower-case hex. */
  readonly sha256?: string | undefined;
  readonly sizeBytes?: number | undefined;
  /** Called with the server's metadata before the body is read; throwing ends the download. */
  readonly onHead?: (head: FileHead) => Promise<void> | void;
}

/** A complete download; its partial is still locked. */
export interface Download extends Disposable {
  readonly partial: Partial;
  /** Computed hash. */
  readonly sha256: string;
  /** Hash stated by the server. */
  readonly named: string | undefined;
  readonly downloadedBytes: number;
}

/** Hash of a URL, where the URL itself must not be shown. */
export async function hashOfUrl(url: URL): Promise<string> {
  return (await createSha256()).update(url.href).digest("hex");
}

/**
 * Download a file, or resume the download.
 *
 * @param isNeeded Called once its partial is locked; `false` if another process has finished it meanwhile.
 * @returns The download; nothing if it is no longer needed.
 * @throws {ModelStoreError} If it cannot be fetched.
 */
export async function download(
  spec: DownloadSpec,
  options: DownloadOptions,
  isNeeded: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<Download | undefined> {
  const { signal, onWait, onPhase, onStage } = options;
  const source = await hashOfUrl(spec.url);
  using locked = new DisposableStack();
  const partial = locked.use(await Partial.open(partialDir(spec.root, spec.key ?? source), { signal, onWait }));
  try {
    if (!await isNeeded()) {
      await partial.remove();
      return undefined;
    }
    if (await partial.leftBytes() > 0) onPhase?.({ phase: "checking_local", path: partial.path });
    await partial.recover(source, signal);
    const { named, downloadedBytes } = await new Fetching(spec, options, { partial, source }).run();
    onPhase?.({ phase: "verify", path: partial.path });
    await onStage?.("verify");
    locked.move();
    return {
      partial,
      sha256: partial.digest(),
      named,
      downloadedBytes,
      [Symbol.dispose]: () => partial[Symbol.dispose](),
    };
  } catch (error) {
    // Nothing to resume.
    if (partial.bytes === 0) await partial.remove().catch(() => {});
    throw error;
  }
}

/** All attempts at one file. */
class Fetching {
  readonly #spec: DownloadSpec;
  readonly #options: DownloadOptions;
  readonly #partial: Partial;
  readonly #source: string;
  #named: string | undefined;
  #downloadedBytes = 0;
  #toldAt = 0;
  /** Byte count at which to try parsing the header; infinite once it is known. */
  #lookAt = LOOK_BYTES;
  #mostBytes = Infinity;

  constructor(
    spec: DownloadSpec,
    options: DownloadOptions,
    { partial, source }: { readonly partial: Partial; readonly source: string },
  ) {
    this.#spec = spec;
    this.#options = options;
    this.#partial = partial;
    this.#source = source;
  }

  async run(): Promise<{ readonly named: string | undefined; readonly downloadedBytes: number }> {
    const partial = this.#partial;
    const { signal, backoffMs = BACKOFF_MS, onRetry } = this.#options;
    let failures = 0;
    let mark = partial.bytes;
    // Completed by an earlier run.
    if (this.#isWhole()) return { named: undefined, downloadedBytes: 0 };
    this.#tell();
    while (!this.#isWhole()) {
      try {
        const known = await this.#transfer();
        if (!known) await this.#checkWhole();
        break;
      } catch (error) {
        if (isHopeless(error)) await partial.remove();
        signal?.throwIfAborted();
        if (!(error instanceof BrokenTransferError)) throw error;
        if (partial.bytes - mark >= GAIN_BYTES) failures = 0;
        mark = partial.bytes;
        failures++;
        if (failures > RETRIES) throw this.#giveUp(error, failures);
        const delayMs = Math.min(MAX_WAIT_MS, Math.max(backoffMs * 2 ** (failures - 1), error.retryAfterMs ?? 0));
        onRetry?.({ attempt: failures, attempts: RETRIES, reason: error.message, delayMs });
        await delay(delayMs, signal === undefined ? {} : { signal });
      }
    }
    this.#tell();
    return { named: this.#named, downloadedBytes: this.#downloadedBytes };
  }

  #isWhole(): boolean {
    const { bytes, state } = this.#partial;
    return bytes > 0 && state?.totalBytes === bytes;
  }

  #transfer(): Promise<boolean> {
    const { url, what, name, sizeBytes, onHead } = this.#spec;
    const { access, signal, stallMs = STALL_MS } = this.#options;
    return transfer(this.#partial, {
      url,
      name,
      source: this.#source,
      what,
      credentials: (hop) => accessHeaders(access, url, hop),
      refusalHelp: (refusal) => refusalHelp(access, { asked: url, ...refusal }),
      sizeBytes,
      stallMs,
      signal,
      onBytes: (bytes) => this.#onBytes(bytes),
      onHead: async (head) => {
        this.#named = head.sha256 ?? this.#named;
        if (head.totalBytes !== undefined) this.#options.onLength?.(head.totalBytes);
        await onHead?.(head);
      },
    });
  }

  async #onBytes(bytes: number): Promise<void> {
    const isFirst = this.#partial.bytes === bytes;
    this.#downloadedBytes += bytes;
    if (performance.now() - this.#toldAt >= (this.#options.progressMs ?? PROGRESS_MS)) this.#tell();
    if (isFirst && !await this.#partial.beginsAsGguf()) {
      throw new ModelStoreError("not_gguf", `${this.#spec.what}: the server does not send a GGUF file`);
    }
    await this.#checkLength();
    if (this.#downloadedBytes === bytes) await this.#options.onStage?.("partial");
  }

  /** Without Content-Length, the size follows from the header, and longer responses are rejected. */
  async #checkLength(): Promise<void> {
    const { what, sizeBytes } = this.#spec;
    const { bytes, state } = this.#partial;
    if (sizeBytes !== undefined || state?.totalBytes !== null) return;
    if (bytes >= this.#lookAt) {
      this.#lookAt *= 2;
      const head = await this.#readHead();
      if (head !== undefined) {
        this.#lookAt = Infinity;
        if (head.paddedBytes > MAX_UNSTATED_BYTES) throw tooLarge(what, head.paddedBytes);
        this.#mostBytes = head.paddedBytes + SLACK_BYTES;
      }
    }
    if (bytes <= this.#mostBytes) return;
    throw new ModelStoreError("size", `${what}: the server sends more than the ${this.#mostBytes} bytes of its model`);
  }

  /** Without Content-Length, the file is complete when its tensors are. */
  async #checkWhole(): Promise<void> {
    const { what, sha256 } = this.#spec;
    const { bytes } = this.#partial;
    const head = await this.#readHead();
    if (head === undefined || bytes < head.requiredBytes) {
      const of = head === undefined ? "" : ` of ${head.requiredBytes}`;
      throw new BrokenTransferError("connection", `the connection ended after ${bytes}${of} bytes`);
    }
    // Only padding may be missing; with a hash that would be detected.
    if (bytes < head.paddedBytes && sha256 === undefined && this.#named === undefined) {
      throw new ModelStoreError(
        "size",
        `${what}: the server does not say how long it is, and the last ${head.paddedBytes - bytes} bytes may be ` +
          "missing; give its SHA-256 (--sha256)",
      );
    }
    await this.#partial.complete();
  }

  /** The GGUF header, if it has been received completely. */
  async #readHead(): Promise<GgufHead | undefined> {
    try {
      return await this.#partial.readHead();
    } catch (error) {
      if (!(error instanceof GgufError)) throw error;
      if (error.fault === "cut") return undefined;
      throw structureError(this.#spec.what, error);
    }
  }

  #giveUp(error: BrokenTransferError, tries: number): ModelStoreError {
    return new ModelStoreError(error.code, `${this.#spec.what}: ${error.message} (tried ${tries} times)`, {
      cause: error,
      ...(error.status === undefined ? {} : { status: error.status }),
    });
  }

  #tell(): void {
    const { url, sizeBytes } = this.#spec;
    const { bytes, state } = this.#partial;
    this.#toldAt = performance.now();
    this.#options.onPhase?.({
      phase: "download",
      downloaded_bytes: bytes,
      total_bytes: sizeBytes ?? state?.totalBytes ?? null,
      source_url: shownUrl(url),
    });
  }
}

/** Whether retrying with the same data is pointless. */
function isHopeless(error: unknown): boolean {
  return error instanceof ModelStoreError && ["size", "not_gguf", "cut", "damaged"].includes(error.code);
}

function tooLarge(what: string, bytes: number): ModelStoreError {
  return new ModelStoreError(
    "size",
    `${what}: the server does not say how long it is, and its header claims ${bytes} bytes; without a length, at most ` +
      `${MAX_UNSTATED_BYTES} are accepted. Set its size ("size_bytes"), or download it by other means and import it`,
  );
}

/** Convert a GGUF error to a store error. */
export function structureError(what: string, error: GgufError): ModelStoreError {
  return new ModelStoreError(error.fault, `${what}: ${error.message}`, { cause: error });
}
