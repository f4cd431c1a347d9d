/**
 * Reloads the configuration of a running daemon: which parts apply without a restart, which backends are kept, created
 * and retired, and in which order. An unusable configuration changes nothing. `serving.ts` routes requests in the
 * meantime.
 */
import type { DaemonOptions } from "../config/options.ts";
import { toStatus } from "../inference/backend.ts";
import { NotEnoughMemoryError } from "../inference/errors.ts";
import { errorText } from "../log/error_text.ts";
import type { ActivityLog } from "../log/log.ts";
import { missingForBackends, type PermissionContext } from "../monitor/permissions/permissions.ts";
import { makeMembers, type MakeOptions, type Member, memberKey } from "./member.ts";
import type { Serving } from "./serving.ts";

/** The new configuration is unusable; the message is for the operator. */
export class ReloadError extends Error {
  override readonly name = "ReloadError";
}

/** Neither the new nor the previous backends can be loaded. */
export class NothingServedError extends Error {
  override readonly name = "NothingServedError";
}

/** Names of options that take effect only after a restart. */
const NEED_RESTART = {
  runtimeDir: "the runtime directory",
  listen: "sockets and TCP addresses",
  rpcSocket: "--rpc-addr",
  adminSocket: "--admin-addr",
  lockPath: "--lock",
  group: "--group",
  logDir: "--log-dir",
  http: "http",
  home: "HOME",
  cacheDir: "the cache directory",
} as const satisfies Partial<Record<keyof DaemonOptions, string>>;

export interface ReloadOptions {
  readonly serving: Serving;
  readonly make: Omit<MakeOptions, "options" | "signal">;
  readonly log: ActivityLog;
  readonly signal: AbortSignal;
  /** If set, a configuration that needs missing permissions is rejected before anything is loaded. */
  readonly permissions?: PermissionContext;
}

export interface Reloaded {
  readonly options: DaemonOptions;
  /** Changed options that take effect only after a restart. */
  readonly needsRestart: readonly string[];
  /** Resolves when the retired backends are gone. */
  readonly retired: Promise<void>;
}

/**
 * Switch to another configuration.
 *
 * @throws {NothingServedError} If nothing can be served any more.
 * @throws {Error} If it is unusable; the current one then stays in effect.
 */
export async function reload(current: DaemonOptions, next: DaemonOptions, reload: ReloadOptions): Promise<Reloaded> {
  const { serving, log, permissions } = reload;
  const { options, needsRestart } = usable(current, next);
  const before = serving.members;
  const kept = await keep(before, options);
  const wanted = options.backends.filter(({ name }) => !kept.has(name));
  if (permissions !== undefined) {
    const missing = missingForBackends(options, wanted, permissions);
    if (missing.length > 0) {
      throw new ReloadError(
        `This process does not have ${missing.join(" ")}, or gave it back after boot: restart the daemon`,
      );
    }
  }
  const gone = before.filter((member) => ![...kept.values()].includes(member));
  const cut = cutAfter(options.drainTimeoutSecs);
  try {
    let made: readonly Member[];
    try {
      made = await load(wanted, options, reload);
    } catch (error) {
      if (!(error instanceof NotEnoughMemoryError) || gone.length === 0) throw error;
      log.warn("reload_without_overlap", { reason: error.message, backends: gone.map(({ backend }) => backend.name) });
      made = await loadInstead(gone, { current, wanted, options, cut: cut.signal }, reload);
    }
    const members = options.backends.map(({ name }) =>
      kept.get(name) ?? made.find(({ backend }) => backend.name === name)
    );
    const { retired } = await serving.change(members.filter((one) => one !== undefined), options, cut.signal);
    return { options, needsRestart, retired: retired.finally(() => cut[Symbol.dispose]()) };
  } catch (error) {
    cut[Symbol.dispose]();
    throw error;
  }
}

/** Merges the parts that apply without a restart, and names those that do not. */
export function usable(
  current: DaemonOptions,
  next: DaemonOptions,
): { readonly options: DaemonOptions; readonly needsRestart: readonly string[] } {
  const needsRestart: string[] = [];
  const fixed: Partial<Record<keyof DaemonOptions, unknown>> = {};
  for (const [key, name] of Object.entries(NEED_RESTART) as [keyof typeof NEED_RESTART, string][]) {
    fixed[key] = current[key];
    if (JSON.stringify(current[key]) !== JSON.stringify(next[key])) needsRestart.push(name);
  }
  // A missing line must never open a protected port to everybody.
  if (current.apiKey !== undefined && next.apiKey === undefined) {
    fixed.apiKey = current.apiKey;
    needsRestart.push("no API key");
  }
  // Each value belongs to its own key.
  return { options: { ...next, ...fixed } as DaemonOptions, needsRestart };
}

/** Backends to keep, by name: unchanged configuration, working, and loaded from the files now on disk. */
async function keep(before: readonly Member[], options: DaemonOptions): Promise<ReadonlyMap<string, Member>> {
  const kept = new Map<string, Member>();
  for (const config of options.backends) {
    const key = memberKey(config, options);
    const member = before.find((one) => one.key === key);
    if (member === undefined || toStatus(member.backend.state) === "down" || !await member.isCurrent()) continue;
    kept.set(config.name, member);
  }
  return kept;
}

/** Creates and loads backends; all are disposed of if one fails. */
async function load(
  configs: DaemonOptions["backends"],
  options: DaemonOptions,
  { serving, make, signal }: ReloadOptions,
): Promise<readonly Member[]> {
  const members = await makeMembers(configs, { ...make, options, signal });
  try {
    signal.throwIfAborted();
    await serving.start(members, options, signal);
    return members;
  } catch (error) {
    await serving.retire(members, AbortSignal.abort());
    throw error;
  }
}

/**
 * Old and new backends do not fit into memory together: retire the old ones first, and reload them if the new ones
 * fail.
 */
async function loadInstead(
  gone: readonly Member[],
  { current, wanted, options, cut }: {
    readonly current: DaemonOptions;
    readonly wanted: DaemonOptions["backends"];
    readonly options: DaemonOptions;
    readonly cut: AbortSignal;
  },
  reload: ReloadOptions,
): Promise<readonly Member[]> {
  const { serving } = reload;
  const before = serving.members;
  const [local] = wanted.flatMap((config) => config.kind === "llamacpp" ? config.modelPath ?? config.modelName : []);
  await serving.retire(gone, cut, { phase: "checking_local", path: local ?? "" });
  try {
    return await load(wanted, options, reload);
  } catch (error) {
    if (reload.signal.aborted) throw error;
    const keys = new Set(gone.map(({ key }) => key));
    const configs = current.backends.filter((config) => keys.has(memberKey(config, current)));
    let back: readonly Member[];
    try {
      back = await load(configs, current, reload);
    } catch (again) {
      throw new NothingServedError(
        `${errorText(error)}; and the previous backends cannot be reloaded: ${errorText(again)}`,
      );
    }
    const members = before.map((member) =>
      gone.includes(member) ? back.find(({ key }) => key === member.key) ?? member : member
    );
    await serving.change(members, current, cut);
    throw error;
  }
}

/** A signal that fires after a timeout, unless disposed of. */
function cutAfter(secs: number): Disposable & { readonly signal: AbortSignal } {
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(), secs * 1000);
  return { signal: cut.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}
