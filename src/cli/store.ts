/** What the commands that work on the model store have in common: which store, and what its errors mean to a shell. */
import { format as formatBytes } from "@std/fmt/bytes";
import type { LoadPhase } from "@inferd/client/protocol";
import type { ParsedFlags } from "../config/flags.ts";
import { loadConfig } from "../config/load.ts";
import type { DaemonOptions } from "../config/options.ts";
import { type Machine, resolveOptions } from "../config/resolve.ts";
import type { SettingName } from "../config/settings.ts";
import { ModelStoreError, Store } from "../models/store.ts";
import { type Progress, stderrProgress } from "./progress.ts";

/** Settings these commands take. */
export const STORE_SETTINGS = ["config"] as const satisfies readonly SettingName[];

/** Exit codes of such a command. */
export const STORE_EXITS: readonly string[] = ["0 done", "1 failed, the reason is on stderr", "2 bad flags"];

/** A store, and the configuration it belongs to. */
export interface OpenStore {
  readonly store: Store;
  readonly options: DaemonOptions;
}

/**
 * The store that the configuration names.
 *
 * @param flags The parsed command line.
 * @param machine Where folders are.
 * @returns The store.
 * @throws {UsageError} If the configuration cannot be used.
 */
export async function openStore(flags: ParsedFlags, machine: Machine): Promise<OpenStore> {
  const options = resolveOptions(flags.values, machine, await loadConfig(flags.values, machine.env));
  return { store: new Store(options.modelsHome), options };
}

/**
 * Do something with the store; Ctrl-C gives it up.
 *
 * @param work Does it.
 * @returns The exit code.
 */
export async function withStore(work: (signal: AbortSignal, progress: Progress) => Promise<number>): Promise<number> {
  const progress = stderrProgress();
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await work(stop.signal, progress);
  } catch (error) {
    progress.clear();
    if (stop.signal.aborted) console.error("inferd: Interrupted; what has come so far is kept for the next time");
    else if (error instanceof ModelStoreError) console.error(`inferd: ${error.message}`);
    else throw error;
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/**
 * Show what takes time.
 *
 * @param progress Where to.
 * @returns Takes phases.
 */
export function showPhases(progress: Progress): (phase: LoadPhase) => void {
  let downloading = false;
  return (phase) => {
    switch (phase.phase) {
      case "download": {
        const { downloaded_bytes: done, total_bytes: total, source_url: url } = phase;
        if (!downloading) progress.step(`Downloading ${url}`);
        downloading = true;
        if (total === null) progress.at(0, size(done));
        else progress.at(done / total, `${size(done)} of ${size(total)}`);
        break;
      }
      case "verify":
        progress.step(`Verifying ${phase.path}`);
        break;
      case "checking_local":
        progress.step(`Looking at ${phase.path}`);
        break;
      case "quarantine":
        progress.note(`Put aside as ${phase.quarantine_path}`);
        break;
    }
  };
}

/** Bytes, for people. */
export function size(bytes: number): string {
  return formatBytes(bytes, { binary: true });
}
