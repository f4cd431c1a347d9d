/**
 * The daemon's process: boot, serve, drain on a signal. `inferd serve` starts it with exact permissions
 * (`monitor/daemon_process.ts`) and has its standard input and output: the daemon orders processes there, and ends when
 * the monitor does. What happens in between is `daemon/boot.ts`'s.
 */
import { rememberEngineEnvironment } from "../engine/ipc/command.ts";
import { absoluteValues } from "../config/merge.ts";
import type { DaemonOptions } from "../config/options.ts";
import { requireKeys } from "../config/exposure.ts";
import { loadConfig, withKeys } from "../config/load.ts";
import { type Machine, resolveOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS } from "../config/schema.ts";
import { type BootScreen, type Daemon, startDaemon } from "../daemon/boot.ts";
import { LockHeldError } from "../daemon/lock.ts";
import { httpCommand } from "../monitor/http_command.ts";
import { HttpProcess, monitoredBridges, ownBridges } from "../monitor/http_process.ts";
import { missingPermissionFlags } from "../monitor/permissions.ts";
import { MonitorLink } from "../processes/monitor_link.ts";
import { LIBC_PATHS } from "../server/kernel.ts";
import { Notifier } from "../service/notifier.ts";
import { parseCommand } from "./command.ts";
import { permissionContext } from "./permissions.ts";
import { refuseDebugger } from "./process_guard.ts";
import { checkPlatform } from "./platform.ts";
import { bannerOf } from "./banner.ts";
import { showPhases } from "./terminal/phases.ts";
import { complain, isScreen } from "./terminal/output.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { typed } from "../config/setting/typed_command.ts";

/** Exit codes of a process that a second signal ended, as shells count them. */
const SIGNALS: readonly (readonly [Deno.Signal, number])[] = Deno.build.os === "windows"
  ? [["SIGINT", 130]]
  : [["SIGINT", 130], ["SIGTERM", 143]];

/** Who wants to read only what goes wrong is not greeted. */
const LEVELS_WITH_BANNER: ReadonlySet<string> = new Set(["debug", "info"]);

/** Within this time, in milliseconds, the same signal again is the first one handed on by another process. */
const RELAY_MS = 150;

/**
 * SIGHUP: read the configuration again. Where the daemon runs on a terminal that was closed, the same signal means that
 * it is to end with it.
 */
function onHangUp(daemon: () => Daemon | undefined, read: () => Promise<DaemonOptions>): () => void {
  const hadTerminal = Deno.stdin.isTerminal();
  return () => {
    if (hadTerminal && !Deno.stdin.isTerminal()) void daemon()?.drain();
    else void daemon()?.reload(read);
  };
}

/** Shows on a terminal how far the boot is. */
function bootScreen(): BootScreen {
  const progress = stderrProgress();
  return { show: showPhases(progress), clear: () => progress.clear() };
}

/** A machine whose variables are read once: later this process may not, and they cannot change. */
function remember(machine: Machine): Machine {
  const seen = new Map<string, string | undefined>();
  let uid: number | null | undefined;
  return {
    platform: machine.platform,
    get memoryBytes(): number {
      return machine.memoryBytes;
    },
    // Asked for only where it is needed: it costs a permission.
    get uid(): number | null {
      return uid === undefined ? uid = machine.uid : uid;
    },
    env: (name) => {
      if (!seen.has(name)) seen.set(name, machine.env(name));
      return seen.get(name);
    },
  };
}

/**
 * Run a daemon in this process.
 *
 * @param args The flags of `serve`.
 * @param machine Where it runs.
 * @param options `supervised`: `inferd serve` is the parent, computed the permissions, and is whom signals are for.
 * @returns The exit code.
 * @throws {UsageError} If flags, environment or configuration file are wrong.
 */
export async function runDaemon(
  args: readonly string[],
  machine: Machine,
  { supervised }: { readonly supervised: boolean },
): Promise<number> {
  checkPlatform(machine.platform);
  refuseDebugger();
  if (!supervised) rememberEngineEnvironment();
  const remembered = remember(machine);
  const flags = parseCommand({ flags: [], settings: SERVE_SETTINGS }, args, remembered.env, 0);
  const values = absoluteValues(flags.values);
  const resolve = async (): Promise<DaemonOptions> =>
    resolveOptions(values, remembered, await loadConfig(values, remembered.env));
  const read = async (): Promise<DaemonOptions> => withKeys(await resolve(), remembered.env);
  const resolved = await resolve();
  const context = { ...permissionContext(flags.values, machine.env), ...(supervised ? {} : { isAlone: true }) };
  if (supervised) {
    const missing = missingPermissionFlags(resolved, context);
    if (missing.length > 0) {
      complain(`inferd: The daemon was started without ${missing.join(" ")}. Start it with "${typed("serve")}"`);
      return 1;
    }
  }
  requireKeys(resolved);
  const options = withKeys(resolved, remembered.env);
  using notifier = Notifier.open({ env: machine.env, libc: LIBC_PATHS });
  const screen = isScreen(Deno.stderr) ? bootScreen() : undefined;
  let daemon: Daemon | undefined;
  let asked: { readonly by: Deno.Signal; readonly at: number } | undefined;
  const handlers = SIGNALS.map(([signal, code]): [Deno.Signal, () => void] => [signal, () => {
    const now = performance.now();
    // A Ctrl-C goes to the whole terminal group, and `npx` and `deno task` forward it; `timeout` sends its signal to
    // the process and to the group.
    if (asked?.by === signal && now - asked.at < RELAY_MS) return;
    if (asked !== undefined) Deno.exit(code);
    asked = { by: signal, at: now };
    notifier?.stopping();
    void daemon?.drain();
  }]);
  if (Deno.build.os !== "windows") {
    handlers.push(["SIGHUP", onHangUp(() => daemon, read)]);
    // A log that may not get longer (`ulimit -f`) cannot be written, which it tells itself; unheard, the signal kills.
    handlers.push(["SIGXFSZ", () => {}]);
  }
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  const link = supervised ? linkToMonitor() : undefined;
  if (link !== undefined) {
    void link.gone.then(() => {
      asked ??= { by: "SIGTERM", at: performance.now() };
      void daemon?.drain();
    });
  }
  try {
    const bridges = link === undefined
      ? ownBridges(httpCommand(options, flags.values, { context, env: remembered.env }))
      : monitoredBridges(link);
    daemon = await startDaemon(options, {
      dropPermissions: context,
      ...(link === undefined ? {} : { pid: Deno.ppid, link }),
      screen,
      ...(options.http.enabled ? { startBeside: (log): HttpProcess => new HttpProcess(bridges, { log }) } : {}),
    });
    // A signal that came while there was nothing to drain yet.
    if (asked !== undefined) void daemon.drain();
    await daemon.ready;
    notifier?.ready();
    screen?.clear();
    if (LEVELS_WITH_BANNER.has(options.logLevel)) complain(bannerOf(daemon.options, daemon.capabilities));
    await daemon.done;
    return 0;
  } catch (error) {
    if (asked !== undefined && daemon !== undefined) {
      await daemon.done;
      return 0;
    }
    screen?.clear();
    const runs = error instanceof LockHeldError
      ? `; "${typed("status")}" shows how it is, "${typed("stop")}" ends it`
      : "";
    complain(`inferd: ${error instanceof Error ? error.message : String(error)}${runs}`);
    return 1;
  } finally {
    for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
  }
}

/** The monitor is on this process's stdin and stdout. */
function linkToMonitor(): MonitorLink {
  return new MonitorLink({ input: Deno.stdin.readable, write: (bytes) => Deno.stdout.writeSync(bytes) });
}
