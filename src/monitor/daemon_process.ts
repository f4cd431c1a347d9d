/**
 * Runs the daemon as a child process: starts it once, relays signals, waits for it and exits with its exit code; never
 * restarts it. Reads nothing from clients, and once the daemon runs keeps only the permission to start what the daemon
 * orders.
 */
import { signalChild } from "../processes/process.ts";
import { IdleMemory } from "../server/idle_memory.ts";
import { type ChildCommands, Children, OrderError } from "./children.ts";
import type { ProcessCommand } from "./daemon_command.ts";

/** Signals relayed to the daemon. */
const RELAYED: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Time in milliseconds after an order or a report of a child process in which another is likely. */
const SETTLED_MS = 100;

/** How the daemon ended. */
export interface DaemonEnd {
  /** Exit code for this process: of a signal, 128 and its number, as in a shell. */
  readonly code: number;
  /** Failure that the daemon could not report itself. */
  readonly failure?: string;
}

/** Start the daemon, wait for it to exit, then kill its child processes. */
export async function superviseDaemon(
  { command, args, env }: ProcessCommand,
  commands: ChildCommands = {},
): Promise<DaemonEnd> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    // A terminal's Ctrl-C goes to the whole process group; the daemon must get it once, relayed from here.
    detached: true,
    // EOF on stdin tells the daemon that this process is gone.
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  /** Signals relayed so far that end the daemon. */
  const asked = new Set<string>();
  const reports = child.stdin.getWriter();
  reports.closed.catch(() => {});
  const encoder = new TextEncoder();
  using memory = new IdleMemory({ text: true, idleMs: SETTLED_MS });
  const children = new Children(commands, async (report) => {
    memory.giveBackSoon();
    // A broken pipe means that the daemon exited, which is awaited anyway.
    await reports.write(encoder.encode(JSON.stringify(report) + "\n")).catch(() => {});
  });
  const hadTerminal = Deno.stdin.isTerminal();
  const relays = RELAYED.map((signal): [Deno.Signal, () => void] => [signal, () => {
    // The terminal was closed. The daemon has no terminal and would take SIGHUP as a request to reload its
    // configuration.
    const isClosed = signal === "SIGHUP" && hadTerminal && !Deno.stdin.isTerminal();
    if (isClosed || signal !== "SIGHUP") asked.add(isClosed ? "SIGTERM" : signal);
    signalChild(child, isClosed ? "SIGTERM" : signal);
  }]);
  for (const [signal, relay] of relays) Deno.addSignalListener(signal, relay);
  dropPermissions();
  void memory.giveBack();
  let failure: string | undefined;
  const obeyed = children.obey(child.stdout).catch((error: unknown) => {
    failure = error instanceof OrderError ? error.message : `Cannot read the daemon's orders: ${error}`;
    signalChild(child, "SIGKILL");
  });
  try {
    const { code, signal } = await child.status;
    await obeyed;
    if (failure !== undefined) return { code: 1, failure };
    if (signal === null) return { code };
    // It was still starting and had no signal handler, so there was nothing to drain.
    if (asked.has(signal)) return { code: 0 };
    return { code, failure: `The daemon was ended by ${signal}` };
  } finally {
    for (const [signal, relay] of relays) Deno.removeSignalListener(signal, relay);
    await children.killAll();
    await reports.close().catch(() => {});
  }
}

/** Drops everything but `run`: an unrestricted grant of `run` cannot be narrowed. */
function dropPermissions(): void {
  for (const name of ["read", "write", "net", "ffi", "sys", "env"] as const) {
    Deno.permissions.revokeSync({ name });
  }
}
