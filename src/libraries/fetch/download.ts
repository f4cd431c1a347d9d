/**
 * Downloads a package of native libraries from an npm registry into the cache: resumes interrupted downloads, verifies
 * the hash, and moves the package in place once it is complete.
 */
import { delay } from "@std/async";
import { dirname, join } from "node:path";
import type { LoadPhase } from "@inferd/client/protocol";
import { LIBRARY_VERSION } from "../library_files.ts";
import { Partial } from "../../models/transfer/partial.ts";
import { shownUrl } from "../../models/transfer/reference.ts";
import { ModelStoreError, storeError } from "../../models/store/store_error.ts";
import { BrokenTransferError, transfer } from "../../models/transfer/transfer.ts";
import { PACKAGE_SCOPE, type PackageFile, packagesFolder } from "../packages.ts";
import type { Registry } from "../registry.ts";
import { type AskOptions, BACKOFF_MS, DownloadError, findArchive, SILENT_TRIES, STALL_MS } from "./registry_client.ts";
import { readTar, TarError } from "./tar.ts";

/** Package to download. */
export interface WantedPackage extends PackageFile {
  /** Without scope. */
  readonly name: string;
}

export interface DownloadOptions {
  readonly cacheDir: string;
  readonly registry: Registry;
  readonly onPhase: (phase: LoadPhase) => void;
  /** Called once if another process downloads the same package. */
  readonly onWait?: () => void;
  /** Called before each retry. */
  readonly onRetry?: (retry: { readonly reason: string; readonly delayMs: number }) => void;
  /** An attempt ends when no data arrives for this long. Default: 20 000. */
  readonly stallMs?: number;
  /** Back-off before the first retry; doubles each time. Default: 1000. */
  readonly backoffMs?: number;
}

/** Maximum consecutive attempts without progress, once the server has answered. */
const MOST_TRIES = 6;
const MOST_BACKOFF_MS = 30_000;
const PROGRESS_MS = 500;
/** Root folder of npm archives. */
const ARCHIVE_ROOT = "package/";

/**
 * Ensure that a package is in the cache.
 *
 * @param wanted The package.
 * @param options Download options.
 * @throws {DownloadError} If it cannot be downloaded.
 */
export async function downloadPackage(wanted: WantedPackage, options: DownloadOptions): Promise<void> {
  const { cacheDir, registry, onPhase, onWait } = options;
  const { name } = wanted;
  const root = packagesFolder(cacheDir);
  const target = join(root, name);
  const what = `Cannot fetch ${PACKAGE_SCOPE}/${name} ${LIBRARY_VERSION} from "${shownUrl(registry.url)}"`;
  try {
    using partial = await Partial.open(join(root, `.partial-${name}`), { onWait });
    if (!isThere(target)) {
      await partial.recover(wanted.sha512, undefined, true);
      let mayBeMixed = partial.bytes > 0;
      for (;;) {
        await fetchAll(partial, wanted, { ...options, what });
        onPhase({ phase: "verify", path: partial.path });
        const actual = await sha512Of(partial.path);
        if (actual === wanted.sha512) break;
        await partial.restart();
        // A resumed download may mix versions and is retried; a fresh one is what the registry has.
        if (!mayBeMixed) {
          throw new DownloadError(`${what}: the SHA-512 of the download is ${actual}, not ${wanted.sha512}`);
        }
        mayBeMixed = false;
      }
      await unpack(partial.path, target);
    }
    await partial.remove();
  } catch (error) {
    if (error instanceof DownloadError) throw error;
    // Its codes are those of downloads in general.
    throw new DownloadError(storeError(what, error).message, { cause: error });
  }
}

/** Downloads the missing part, with retries. */
async function fetchAll(
  partial: Partial,
  wanted: WantedPackage,
  options: DownloadOptions & { readonly what: string },
): Promise<void> {
  const { what, registry, onPhase, stallMs = STALL_MS, backoffMs = BACKOFF_MS, onRetry } = options;
  let told: number | undefined;
  const tell = (): void => {
    const { bytes } = partial;
    if (bytes === told) return;
    told = bytes;
    onPhase({
      phase: "download",
      downloaded_bytes: bytes,
      total_bytes: wanted.bytes,
      source_url: shownUrl(new URL(`${PACKAGE_SCOPE}/${wanted.name}`, registry.url)),
    });
  };
  tell();
  // Reports even while no data arrives.
  using timers = new DisposableStack();
  timers.adopt(setInterval(tell, PROGRESS_MS), clearInterval);
  let failures = 0;
  /** Maximum size so far: a server that always restarts from zero makes no progress. */
  let most = partial.bytes;
  let hasAnswered = false;
  let url: URL | undefined;
  while (partial.bytes < wanted.bytes) {
    try {
      url ??= await archiveUrl(wanted, { registry, what, stallMs });
      await transfer(partial, {
        url,
        name: `${PACKAGE_SCOPE}/${wanted.name}`,
        // The content behind this hash is the same in every registry.
        source: wanted.sha512,
        what,
        sizeBytes: wanted.bytes,
        stallMs,
        immutable: true,
        credentials: ({ origin }) =>
          registry.authorization !== undefined && origin === registry.url.origin
            ? [["authorization", registry.authorization]]
            : [],
        onBytes: () => {
          hasAnswered = true;
          return Promise.resolve();
        },
        onHead: () => Promise.resolve(),
      });
    } catch (error) {
      if (error instanceof ModelStoreError && error.code === "size") await partial.remove();
      if (!(error instanceof BrokenTransferError)) throw error;
      failures = partial.bytes > most ? 1 : failures + 1;
      most = Math.max(most, partial.bytes);
      if (failures >= (hasAnswered ? MOST_TRIES : SILENT_TRIES)) {
        throw new DownloadError(`${what}: ${error.message} (tried ${failures} times)`, { cause: error });
      }
      const delayMs = Math.min(MOST_BACKOFF_MS, Math.max(backoffMs * 2 ** (failures - 1), error.retryAfterMs ?? 0));
      onRetry?.({ reason: error.message, delayMs });
      await delay(delayMs);
    }
  }
  tell();
}

async function archiveUrl({ name, sha512 }: WantedPackage, options: AskOptions): Promise<URL> {
  const { url, integrity } = await findArchive(`${PACKAGE_SCOPE}/${name}`, options);
  // Some registries only state an older hash.
  if (integrity?.startsWith("sha512-") && integrity !== `sha512-${sha512}`) {
    throw new DownloadError(`${options.what}: the registry has another package under this name (${integrity})`);
  }
  return url;
}

async function sha512Of(path: string): Promise<string> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha512");
  using file = await Deno.open(path);
  for await (const bytes of file.readable) hash.update(bytes);
  return hash.digest("base64");
}

/** Unpacks next to the target, and renames once everything is on disk. */
async function unpack(archive: string, target: string): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: dirname(target), prefix: ".unpacked-" });
  try {
    const file = await Deno.open(archive);
    for await (const { path, content } of readTar(file.readable.pipeThrough(new DecompressionStream("gzip")))) {
      if (!path.startsWith(ARCHIVE_ROOT)) throw new TarError(`"${path}" is not below "${ARCHIVE_ROOT}"`);
      const place = join(folder, path.slice(ARCHIVE_ROOT.length));
      await Deno.mkdir(dirname(place), { recursive: true });
      using out = await Deno.open(place, { write: true, createNew: true, mode: 0o644 });
      for await (const piece of content) {
        for (let written = 0; written < piece.length;) written += await out.write(piece.subarray(written));
      }
      await out.sync();
    }
    await Deno.chmod(folder, 0o755).catch(() => {});
    await Deno.rename(folder, target);
  } catch (error) {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    throw error;
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
