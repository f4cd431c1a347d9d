/** Queries an npm registry for the URL and hash of this release's archive. */
import { delay } from "@std/async";
import { LIBRARY_VERSION } from "../library_files.ts";
import { shownUrl } from "../../models/transfer/reference.ts";
import { BrokenTransferError } from "../../models/transfer/transfer.ts";
import type { Registry } from "../registry.ts";

/** A package cannot be downloaded; the message is for the operator. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}

export interface AskOptions {
  readonly registry: Registry;
  /** Start of error messages. */
  readonly what: string;
  /** Timeout in milliseconds. */
  readonly stallMs: number;
}

/** An archive of a package. */
export interface Archive {
  readonly url: URL;
  /** In npm's format, with the hash's name; absent if the registry does not state one. */
  readonly integrity?: string;
}

/** An attempt ends when no data arrives for this long. */
export const STALL_MS = 20_000;
/** Back-off before the first retry. */
export const BACKOFF_MS = 1000;
/** Maximum consecutive attempts if the server never answers. */
export const SILENT_TRIES = 3;
/** Maximum size of package metadata, which covers all releases. */
const MOST_METADATA_BYTES = 64 * 1024 * 1024;

/**
 * Find the archive of a package.
 *
 * @param name The package with its scope.
 * @param options Registry and timeout.
 * @returns The archive of this release.
 * @throws {BrokenTransferError} If a retry may succeed.
 * @throws {DownloadError} If it would not.
 */
export async function findArchive(name: string, { registry, what, stallMs }: AskOptions): Promise<Archive> {
  const { authorization } = registry;
  const url = new URL(name.replace("/", "%2f"), registry.url);
  let metadata: unknown;
  try {
    const response = await fetch(url, {
      headers: {
        accept: "application/vnd.npm.install-v1+json, application/json; q=0.8",
        ...(authorization === undefined ? {} : { authorization }),
      },
      signal: AbortSignal.timeout(stallMs),
    });
    metadata = JSON.parse(await readText(response, what));
  } catch (error) {
    if (error instanceof BrokenTransferError || error instanceof DownloadError) throw error;
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new BrokenTransferError("stalled", `no response for ${stallMs / 1000} s`, { cause: error });
    }
    throw new BrokenTransferError("connection", reasonOf(error), { cause: error });
  }
  const archive = archiveOf(metadata, url);
  if (archive === undefined) throw new DownloadError(`${what}: the registry does not have this release`);
  return archive;
}

/**
 * Check that a registry answers, before a tool is started that would wait forever.
 *
 * @param name A package it has.
 * @param registry The registry.
 * @param options Timeouts; default: as for a package.
 * @throws {DownloadError} If it does not.
 */
export async function probeRegistry(
  name: string,
  registry: Registry,
  { stallMs = STALL_MS, backoffMs = BACKOFF_MS }: { readonly stallMs?: number; readonly backoffMs?: number } = {},
): Promise<void> {
  const what = `Cannot fetch ${name} ${LIBRARY_VERSION} from "${shownUrl(registry.url)}"`;
  for (let failures = 0;;) {
    try {
      await findArchive(name, { registry, what, stallMs });
      return;
    } catch (error) {
      if (!(error instanceof BrokenTransferError)) throw error;
      if (++failures === SILENT_TRIES) {
        throw new DownloadError(`${what}: ${error.message} (tried ${failures} times)`, { cause: error });
      }
      await delay(Math.max(backoffMs * 2 ** (failures - 1), error.retryAfterMs ?? 0));
    }
  }
}

async function readText(response: Response, what: string): Promise<string> {
  const { status, ok } = response;
  if (!ok || response.body === null) {
    await response.body?.cancel();
    const message = `the registry answers ${status}`;
    if (status >= 500 || status === 408 || status === 429) throw new BrokenTransferError("http", message, { status });
    throw new DownloadError(`${what}: ${message}`);
  }
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let length = 0;
  for await (const bytes of response.body) {
    parts.push(decoder.decode(bytes, { stream: true }));
    length += bytes.length;
    if (length > MOST_METADATA_BYTES) throw new DownloadError(`${what}: the registry's response is too long`);
  }
  return parts.join("");
}

/** Archive of this release in the registry's metadata. */
function archiveOf(metadata: unknown, base: URL): Archive | undefined {
  let value = metadata;
  for (const key of ["versions", LIBRARY_VERSION, "dist"]) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  }
  if (typeof value !== "object" || value === null || !("tarball" in value)) return undefined;
  const { tarball } = value;
  if (typeof tarball !== "string" || !URL.canParse(tarball, base)) return undefined;
  const integrity = "integrity" in value && typeof value.integrity === "string" ? value.integrity : undefined;
  return { url: new URL(tarball, base), ...(integrity === undefined ? {} : { integrity }) };
}

/** Reason of a failed request: the cause, because the message contains the URL, which may hold secrets. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/^error sending request for url \(.*?\): /, "");
}
