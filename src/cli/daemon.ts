/**
 * The daemon's process: boot, serve, drain on a signal. `inferd serve` starts it with exact permissions
 * (`monitor/daemon_process.ts`) and owns its stdin and stdout: the daemon orders processes there, and exits when the
 * monitor does. Booting belongs to `daemon/boot.ts`.
 */
import { absoluteValues } from "../config/merge.ts";
import type { DaemonOptions } from "../config/options.ts";
import { requireKeys } from "../config/exposure.ts";
import { withKeys } from "../config/load.ts";
import { type Machine, readOptions } from "../config/resolve.ts";
import { SERVE_SETTINGS } from "../config/schema.ts";
import { type BootScreen, type Daemon, startDaemon } from "../daemon/boot.ts";
import { LockHeldError } from "../daemon/lock.ts";
import { errorText } from "../log/error_text.ts";
import { HttpProcess } from "../monitor/http_process.ts";
import { missingPermissionFlags } from "../monitor/permissions/permissions.ts";
import { MonitorLink } from "../processes/monitor_link.ts";
import { LIBC_PATHS } from "../server/kernel.ts";
import { Notifier } from "../service/notifier.ts";
import { parseCommand } from "./command.ts";
import { exit } from "../confinement/confined.ts";
import { permissionContext } from "./permissions.ts";
import { refuseDebugger } from "./process_guard.ts";
import { checkPlatform } from "./platform.ts";
import { bannerOf } from "./banner.ts";
import { showPhases } from "./terminal/phases.ts";
import { complain, isScreen } from "./terminal/output.ts";
import { stderrProgress } from "./terminal/progress.ts";
import { typed } from "../config/setting/typed_command.ts";

/** Shell-style exit codes after a second signal. */
const SIGNALS: readonly (readonly [Deno.Signal, number])[] = Deno.build.os === "windows"
  ? [["SIGINT", 130]]
  : [["SIGINT", 130], ["SIGTERM", 143]];

const LEVELS_WITH_BANNER: ReadonlySet<string> = new Set(["debug", "info"]);

/** The same signal within this many milliseconds is taken for the first one, relayed by another process. */
const RELAY_MS = 150;

/** Handles SIGHUP: reload the configuration. If the daemon's terminal was closed, the signal means to exit instead. */
function onHangUp({ reload, drain }: { readonly reload: () => void; readonly drain: () => void }): () => void {
  const hadTerminal = Deno.stdin.isTerminal();
  return () => hadTerminal && !Deno.stdin.isTerminal() ? drain() : reload();
}

function bootScreen(): BootScreen {
  const progress = stderrProgress();
  return { show: showPhases(progress), clear: () => progress.clear() };
}

/** Caches environment variables, which cannot change: later this process may not read them. */
function remember(machine: Machine): Machine {
  const seen = new Map<string, string | undefined>();
  let uid: number | null | undefined;
  return {
    platform: machine.platform,
    get memoryBytes(): number {
      return machine.memoryBytes;
    },
    // Looked up lazily: it costs a permission.
    get uid(): number | null {
      return uid === undefined ? uid = machine.uid : uid;
    },
    env: (name) => {
      if (!seen.has(name)) seen.set(name, machine.env(name));
      return seen.get(name);
    },
  };
}

/** @throws {UsageError} If flags, environment or configuration file are wrong. */
export async function runDaemon(args: readonly string[], machine: Machine): Promise<number> {
  checkPlatform(machine.platform);
  refuseDebugger();
  const remembered = remember(machine);
  const flags = parseCommand({ flags: [], settings: SERVE_SETTINGS }, args, remembered.env, 0);
  const values = absoluteValues(flags.values);
  const read = async (): Promise<DaemonOptions> => withKeys(await readOptions(values, remembered), remembered.env);
  const resolved = await readOptions(values, remembered);
  const context = permissionContext(flags.values, machine.env);
  const missing = missingPermissionFlags(resolved, context);
  if (missing.length > 0) {
    complain(`inferd: The daemon was started without ${missing.join(" ")}. Start it with "${typed("serve")}"`);
    return 1;
  }
  requireKeys(resolved);
  const options = withKeys(resolved, remembered.env);
  using notifier = Notifier.open({ env: machine.env, libc: LIBC_PATHS });
  const screen = isScreen(Deno.stderr) ? bootScreen() : undefined;
  let daemon: Daemon | undefined;
  /** SIGHUP arrived before there was anything to reload. */
  let hungUp = false;
  let asked: { readonly by: Deno.Signal; readonly at: number } | undefined;
  const handlers = SIGNALS.map(([signal, code]): [Deno.Signal, () => void] => [signal, () => {
    const now = performance.now();
    // Ctrl-C reaches the whole foreground process group, and `npx` and `deno task` relay it; `timeout` signals both the
    // process and the group.
    if (asked?.by === signal && now - asked.at < RELAY_MS) return;
    if (asked !== undefined) exit(code);
    asked = { by: signal, at: now };
    notifier?.stopping();
    void daemon?.drain();
  }]);
  if (Deno.build.os !== "windows") {
    const reload = (): void => {
      if (daemon === undefined) hungUp = true;
      else void daemon.reload(read);
    };
    handlers.push(["SIGHUP", onHangUp({ reload, drain: () => void daemon?.drain() })]);
    // When the file size limit (`ulimit -f`) is reached, writing the log fails and reports it; without a handler the
    // signal would kill.
    handlers.push(["SIGXFSZ", () => {}]);
  }
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  const link = linkToMonitor();
  void link.gone.then(() => {
    asked ??= { by: "SIGTERM", at: performance.now() };
    void daemon?.drain();
  });
  try {
    daemon = await startDaemon(options, {
      dropPermissions: context,
      pid: Deno.ppid,
      link,
      screen,
      // The bridge's output goes where the monitor's goes.
      ...(options.http.enabled
        ? { startBeside: (log) => new HttpProcess(() => link.start("http", link.nextNumber(), () => {}), { log }) }
        : {}),
    });
    // The signal arrived before there was anything to drain.
    if (asked !== undefined) void daemon.drain();
    else if (hungUp) void daemon.reload(read);
    await daemon.ready;
    notifier?.ready();
    screen?.clear();
    if (LEVELS_WITH_BANNER.has(options.logLevel)) {
      complain(bannerOf({ ...daemon.options, listen: await daemon.listen() }, daemon.capabilities));
    }
    await daemon.done;
    return 0;
  } catch (error) {
    if (asked !== undefined && daemon !== undefined) {
      await daemon.done;
      return 0;
    }
    screen?.clear();
    const runs = error instanceof LockHeldError
      ? `; "${typed("status")}" shows its state, "${typed("stop")}" ends it`
      : "";
    complain(`inferd: ${errorText(error)}${runs}`);
    return 1;
  } finally {
    for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
  }
}

/** Connects to the monitor through stdin and stdout. */
function linkToMonitor(): MonitorLink {
  return new MonitorLink({ input: Deno.stdin.readable, write: (bytes) => Deno.stdout.writeSync(bytes) });
}
