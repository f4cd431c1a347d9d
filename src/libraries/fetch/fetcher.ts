/**
 * Daemon side of fetching: starts the process that has the permissions, forwards its reports, and ends it. The daemon
 * itself contacts no registry and writes no library.
 */
import type { Fetcher, FetchWatch } from "../../backend/llama/options.ts";
import { PipedProcess } from "../../processes/piped_process.ts";
import type { JsonProcess, ProcessExit, ProcessListener, StartProcess } from "../../processes/process.ts";
import { LIBRARY_VERSION } from "../library_files.ts";
import type { EngineNeed } from "../../engine/ipc/messages.ts";
import type { WantedPackage } from "./download.ts";
import type { EngineCommand } from "../../engine/ipc/command.ts";
import { chatWrappersCommand, fetchCommand } from "./fetch_command.ts";
import type { FetchOrder, FetchReport } from "./fetch_messages.ts";
import { type PackageFile, PACKAGES } from "../packages.ts";
import { errorText } from "../../log/error_text.ts";

/** Approximate compressed size of node-llama-cpp and its dependencies. */
const CHAT_WRAPPERS_BYTES = 42_000_000;
/** Timeout of `deno cache`, which reports no progress. */
const CHAT_WRAPPERS_TIMEOUT_MS = 30 * 60_000;
const CHAT_WRAPPERS_TRIES = 3;
const ADVICE = "Check the network and the registry that npm is configured with (NPM_CONFIG_REGISTRY, .npmrc); " +
  "docs/guides/offline.md explains how to install without a network";

export interface FetcherOptions {
  /** Cache folder for packages. */
  readonly cacheDir: string;
  /** The user's home, which may have an `.npmrc`. */
  readonly home?: string;
  /** Overrides the release's packages, for tests. */
  readonly packages?: Readonly<Record<string, PackageFile>>;
  /** Starts the processes that fetch. Absent: this one does. */
  readonly start?: StartProcess;
}

/** Fetching failed; the message is for the operator. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

/** Processes started by this one. */
function ownProcesses(libraries: EngineCommand): StartProcess {
  return (kind, listener) => new PipedProcess(kind === "libraries" ? libraries : chatWrappersCommand(), listener);
}

/** Fetches what engines need. */
export class LibraryFetcher implements Fetcher {
  readonly cacheDir: string;
  readonly #start: StartProcess;
  readonly #packages: Readonly<Record<string, PackageFile>>;

  constructor({ cacheDir, home, packages = PACKAGES, start }: FetcherOptions) {
    this.cacheDir = cacheDir;
    this.#start = start ?? ownProcesses(fetchCommand(cacheDir, home));
    this.#packages = packages;
  }

  /**
   * Fetch what an engine needs. Concurrent requests for the same packages share one process.
   *
   * @param need Packages or chat wrappers.
   * @param watch Callbacks and abort signal.
   * @throws {FetchError} If it cannot be fetched.
   */
  async fetch(need: EngineNeed, watch: FetchWatch): Promise<void> {
    if ("packages" in need) await this.#order({ packages: this.#known(need.packages) }, watch);
    else await this.#fetchChatWrappers(watch);
  }

  #known(names: readonly string[]): WantedPackage[] {
    return names.map((name) => {
      const file = this.#packages[name];
      if (file === undefined) throw new FetchError(`No package "${name}" belongs to node-llama-cpp ${LIBRARY_VERSION}`);
      return { name, ...file };
    });
  }

  async #order(order: Omit<FetchOrder, "cacheDir">, { onPhase, onNote, signal }: FetchWatch): Promise<void> {
    let ending: Extract<FetchReport, { type: "done" | "failed" }> | undefined;
    const stderr: string[] = [];
    const process = this.#begin<FetchReport, FetchOrder>("libraries", {
      onMessage(message): void {
        switch (message.type) {
          case "phase":
            return onPhase(message.phase);
          case "waits":
            return onNote("library_fetch_waits", { package: message.package });
          case "retried":
            return onNote("library_fetch_retried", {
              package: message.package,
              reason: message.reason,
              delay_ms: message.delayMs,
            });
          default:
            ending = message;
        }
      },
      onStderr: (line) => stderr.push(line),
    });
    process.send({ ...order, cacheDir: this.cacheDir });
    const { notStarted } = await ended(process, signal);
    if (notStarted !== undefined) throw notStartedError(notStarted);
    if (ending?.type === "done") return;
    if (ending === undefined) throw new FetchError(`The process that fetches libraries failed: ${stderr.join(" ")}`);
    throw new FetchError(`${ending.message}. ${ADVICE}`);
  }

  /** Uses `deno cache`, which reports no progress but keeps completed packages. */
  async #fetchChatWrappers(watch: FetchWatch): Promise<void> {
    const { onPhase, onNote, signal } = watch;
    const tell = (bytes: number): void =>
      onPhase({
        phase: "download",
        downloaded_bytes: bytes,
        total_bytes: CHAT_WRAPPERS_BYTES,
        source_url: `npm:node-llama-cpp@${LIBRARY_VERSION}`,
      });
    tell(0);
    // Deno waits forever for a registry that does not answer, so check first.
    await this.#order({ packages: [], probe: "node-llama-cpp" }, watch);
    for (let tries = 1;; tries++) {
      const stderr: string[] = [];
      const process = this.#begin<unknown, never>("chat_formats", {
        onMessage: () => {},
        onStderr: (line) => stderr.push(line),
      });
      const timer = setTimeout(() => process.kill("It took too long"), CHAT_WRAPPERS_TIMEOUT_MS);
      const { code, killedFor, notStarted } = await ended(process, signal).finally(() => clearTimeout(timer));
      if (notStarted !== undefined) throw notStartedError(notStarted);
      if (code === 0) return tell(CHAT_WRAPPERS_BYTES);
      const reason = killedFor ?? (stderr.find((line) => line.trim() !== "") ?? `deno ended with ${code}`);
      if (tries === CHAT_WRAPPERS_TRIES || killedFor !== undefined) {
        throw new FetchError(
          `Cannot fetch node-llama-cpp ${LIBRARY_VERSION}, whose chat formats a model without a chat template needs: ` +
            `${reason} (tried ${tries} times). ${ADVICE}`,
        );
      }
      onNote("library_fetch_retried", { package: "node-llama-cpp", reason, delay_ms: 0 });
    }
  }

  #begin<In, Out>(kind: Parameters<StartProcess>[0], listener: ProcessListener<In>): JsonProcess<Out> {
    try {
      return this.#start<In, Out>(kind, listener);
    } catch (error) {
      throw notStartedError(error);
    }
  }
}

function notStartedError(error: unknown): FetchError {
  return new FetchError(`Cannot start the process that fetches libraries: ${errorText(error)}`, { cause: error });
}

/** Waits for the process to exit; kills it on abort. */
async function ended<Out>(process: JsonProcess<Out>, signal: AbortSignal): Promise<ProcessExit> {
  const abort = (): void => process.kill("Fetching was given up");
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    const exit = await process.exited;
    signal.throwIfAborted();
    return exit;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
