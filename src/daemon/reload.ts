/**
 * A new configuration for a daemon that serves: what of it can be used without a restart, which backends are kept, made
 * and given up, and in which order. A configuration that cannot be used changes nothing. Who answers a request meanwhile
 * is `serving.ts`'s.
 */
import type { DaemonOptions } from "../config/options.ts";
import { toStatus } from "../inference/backend.ts";
import { NotEnoughMemoryError } from "../inference/errors.ts";
import type { ActivityLog } from "../log/log.ts";
import { missingForBackends, type PermissionContext } from "../monitor/permissions.ts";
import { textOf } from "./drain.ts";
import { makeMembers, type MakeOptions, type Member, memberKey } from "./member.ts";
import type { Serving } from "./serving.ts";

/** The new configuration cannot be used; the message is for the operator. */
export class ReloadError extends Error {
  override readonly name = "ReloadError";
}

/** Neither the new backends nor the ones before them can be loaded. */
export class NothingServedError extends Error {
  override readonly name = "NothingServedError";
}

/** What the operator calls the options that are used only after a restart. */
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

/** What a reload works with. */
export interface ReloadOptions {
  readonly serving: Serving;
  readonly make: Omit<MakeOptions, "options" | "signal">;
  readonly log: ActivityLog;
  /** Gives the reload up. */
  readonly signal: AbortSignal;
  /** Given: what needs a permission that this process does not have is refused before anything is loaded. */
  readonly permissions?: PermissionContext;
}

/** A configuration that is served. */
export interface Reloaded {
  readonly options: DaemonOptions;
  /** What differs and is used only after a restart. */
  readonly needsRestart: readonly string[];
  /** Resolves when the backends that are served no more are gone. */
  readonly retired: Promise<void>;
}

/**
 * Serve another configuration.
 *
 * @param current What is served.
 * @param next What was configured.
 * @returns What is served now.
 * @throws {NothingServedError} If nothing could be served any more.
 * @throws {Error} If it cannot be used: then what was served before is served.
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

/** What of a new configuration can be used without a restart, and the names of what cannot. */
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
  // A port that has been guarded is never opened to everybody by a line that is missing.
  if (current.apiKey !== undefined && next.apiKey === undefined) {
    fixed.apiKey = current.apiKey;
    needsRestart.push("no API key");
  }
  // Each value is the one of its own key.
  return { options: { ...next, ...fixed } as DaemonOptions, needsRestart };
}

/** By name, the backends that are configured as they are, work, and have loaded what is on the disk now. */
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

/** Make backends and have them load; nothing is left of them if one cannot. */
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

/** Both do not fit into memory together: give the old ones up first, and load them again if the new ones cannot be. */
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
      throw new NothingServedError(`${textOf(error)}; and what was served before cannot be loaded: ${textOf(again)}`);
    }
    const members = before.map((member) =>
      gone.includes(member) ? back.find(({ key }) => key === member.key) ?? member : member
    );
    await serving.change(members, current, cut);
    throw error;
  }
}

/** A signal that fires after a time, unless it is disposed of. */
function cutAfter(secs: number): Disposable & { readonly signal: AbortSignal } {
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(), secs * 1000);
  return { signal: cut.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}
