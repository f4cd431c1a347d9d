/** Shared by commands for the model store: opening it, and mapping errors to exit codes. */
import { abortable } from "@std/async";
import type { ParsedFlags } from "../config/flags.ts";
import type { DaemonOptions } from "../config/options.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import { NO_STORE } from "../config/home.ts";
import type { SettingName } from "../config/schema.ts";
import { didYouMean } from "../config/setting/closest.ts";
import { typed } from "../config/setting/typed_command.ts";
import { UsageError } from "../config/setting/usage_error.ts";
import { BUILT_INS, isBuiltIn } from "../models/built_in.ts";
import { describeTaken } from "../models/store/name_claim.ts";
import { ModelStoreError, type ModelStoreErrorCode, Store, type TakenName } from "../models/store.ts";
import { type Progress, stderrProgress } from "./terminal/progress.ts";
import { ask, complain } from "./terminal/output.ts";

export const STORE_SETTINGS = ["config"] as const satisfies readonly SettingName[];

/** Exit codes of such a command. */
export const STORE_EXITS: readonly string[] = [
  "0 done",
  "1 failed, the reason is on stderr",
  "2 bad flags, or no such model or file",
];

/** What was typed cannot be meant, like a bad flag. */
const IS_MISTYPED: ReadonlySet<ModelStoreErrorCode> = new Set(["bad_name", "bad_reference", "not_found"]);

/** A store and the configuration it belongs to. */
export interface OpenStore {
  readonly store: Store;
  readonly options: DaemonOptions;
}

/** @throws {UsageError} If the configuration is invalid. */
export async function openStore(flags: ParsedFlags, machine: Machine): Promise<OpenStore> {
  const options = await readOptions(flags.values, machine);
  if (options.modelsHome === undefined) throw new UsageError(NO_STORE);
  return { store: new Store(options.modelsHome), options };
}

/**
 * Run an operation on the store; Ctrl-C aborts it.
 *
 * @param interrupted Printed after Ctrl-C.
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
      return 1;
    }
    if (!(error instanceof ModelStoreError)) throw error;
    complain(`inferd: ${error.message}`);
    return IS_MISTYPED.has(error.code) ? 2 : 1;
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** The error for a name that the store does not have, with a suggestion. */
export async function noSuchModel(name: string, store: Store): Promise<UsageError> {
  if (isBuiltIn(name)) return new UsageError(`"${name}" comes with inferd, and is not in the store`);
  const names = [...(await store.list()).models.map(({ name }) => name), ...Object.keys(BUILT_INS)];
  const meant = didYouMean(name, names);
  return new UsageError(
    `There is no model "${name}" in the store${meant || `; "${typed("models")}" lists what it has`}`,
  );
}

/** @throws {UsageError} If the store has no such model. */
export async function withModel<T>(name: string, store: Store, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isMissing = error instanceof ModelStoreError && error.code === "not_found";
    if (!isMissing || await store.find(name) !== undefined) throw error;
    throw await noSuchModel(name, store);
  }
}

/** Asks whether a name may be moved to another model; `undefined` without a terminal. */
export function askToReplace(
  progress: Progress,
  signal: AbortSignal,
): ((taken: TakenName) => Promise<boolean>) | undefined {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
  return async (taken) => {
    progress.clear();
    ask(`${describeTaken(taken)}. Replace it? [y/N] `);
    const answer = new Uint8Array(64);
    const read = await abortable(Deno.stdin.read(answer), signal);
    return /^y(es)?$/i.test(new TextDecoder().decode(answer.subarray(0, read ?? 0)).trim());
  };
}

export const PROGRESS_MS = 250;
