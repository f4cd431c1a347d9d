/** What the commands that work on the model store have in common: which store, and what its errors mean to a shell. */
import { abortable } from "@std/async";
import { format as formatBytes } from "@std/fmt/bytes";
import type { LoadPhase } from "@inferd/client/protocol";
import type { ParsedFlags } from "../config/flags.ts";
import { loadConfig } from "../config/load.ts";
import type { DaemonOptions } from "../config/options.ts";
import { type Machine, resolveOptions } from "../config/resolve.ts";
import { NO_STORE } from "../config/home.ts";
import type { SettingName } from "../config/schema.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { describeTaken } from "../models/store/name_claim.ts";
import { ModelStoreError, Store, type TakenName } from "../models/store.ts";
import { type Progress, stderrProgress } from "./terminal/progress.ts";
import { complain } from "./terminal/output.ts";

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
  if (options.modelsHome === undefined) throw new UsageError(NO_STORE);
  return { store: new Store(options.modelsHome), options };
}

/**
 * Do something with the store; Ctrl-C gives it up.
 *
 * @param work Does it.
 * @param interrupted What is said after Ctrl-C.
 * @returns The exit code.
 */
export async function withStore(
  work: (signal: AbortSignal, progress: Progress) => Promise<number>,
  interrupted = "Interrupted",
): Promise<number> {
  const progress = stderrProgress();
  const stop = new AbortController();
  const interrupt = (): void => stop.abort();
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await work(stop.signal, progress);
  } catch (error) {
    progress.clear();
    if (stop.signal.aborted) {
      complain(`inferd: ${interrupted}`);
    } else if (error instanceof ModelStoreError) complain(`inferd: ${error.message}`);
    else throw error;
    return 1;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/**
 * Ask on a terminal whether a name may be given to another model.
 *
 * @param progress Cleared before.
 * @param signal Gives up.
 * @returns Asks; `undefined` without a terminal.
 */
export function askToReplace(
  progress: Progress,
  signal: AbortSignal,
): ((taken: TakenName) => Promise<boolean>) | undefined {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
  return async (taken) => {
    progress.clear();
    await Deno.stderr.write(new TextEncoder().encode(`${describeTaken(taken)}. Replace it? [y/N] `));
    const answer = new Uint8Array(64);
    const read = await abortable(Deno.stdin.read(answer), signal);
    return /^y(es)?$/i.test(new TextDecoder().decode(answer.subarray(0, read ?? 0)).trim());
  };
}

/**
 * Show what takes time.
 *
 * @param progress Where to.
 * @returns Takes phases.
 */
export function showPhases(progress: Progress): (phase: LoadPhase) => void {
  let rate: Rate | undefined;
  let file: string | undefined;
  return (phase) => {
    switch (phase.phase) {
      case "download": {
        const { downloaded_bytes: done, total_bytes: total, source_url: url } = phase;
        if (file !== url) {
          progress.step(`Downloading ${url}`);
          [file, rate] = [url, new Rate(done)];
        }
        const speed = rate?.at(done, total) ?? "";
        if (total === null) progress.at(undefined, [size(done), speed]);
        else {progress.at(done / total, [
            `${Math.floor(done / total * 100)} %`,
            `${size(done)} of ${size(total)}`,
            speed,
          ]);}
        break;
      }
      case "verify":
        progress.step(`Verifying ${phase.path}`);
        break;
      case "checking_local":
        progress.step(`Checking ${phase.path}`);
        break;
      case "quarantine":
        progress.note(`Moved to ${phase.quarantine_path}`);
        break;
    }
  };
}

/** How often people are shown how far a download is, in milliseconds. */
export const PROGRESS_MS = 250;
/** The speed is not shown before this much time. */
const RATE_AFTER_MS = 1000;

/** How fast bytes come. */
class Rate {
  readonly #first: number;
  readonly #begun = performance.now();

  constructor(first: number) {
    this.#first = first;
  }

  /** Bytes a second and the time that is left, for people; empty while that is not known. */
  at(done: number, total: number | null): string {
    const ms = performance.now() - this.#begun;
    const perSecond = (done - this.#first) / ms * 1000;
    if (ms < RATE_AFTER_MS || perSecond <= 0) return "";
    const left = total === null ? "" : `, ${clock((total - done) / perSecond)} left`;
    return `${size(perSecond)}/s${left}`;
  }
}

/** `1:05`, `2:03:00`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/** Bytes, for people. */
export function size(bytes: number): string {
  return formatBytes(bytes, { binary: true });
}
