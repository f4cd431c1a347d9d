/**
 * The daemon as a child process: started once, told the signals this process gets, waited for. Whatever it ends with,
 * this process ends with; it does not restart it. It reads nothing from a client, and once the child runs it has no
 * permission but to start what the daemon orders.
 */
import { type ChildCommands, Children, OrderError } from "./children.ts";
import type { DaemonCommand } from "./daemon_command.ts";

/** What is passed on. */
const RELAYED: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Numbers of signals, for exit codes as shells count them: the same on Linux and macOS but for SIGBUS. */
const SIGNAL_NUMBERS: Readonly<Partial<Record<Deno.Signal, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** How it ended. */
export interface DaemonEnd {
  /** What this process is to exit with. */
  readonly code: number;
  /** What the daemon could not say itself. */
  readonly failure?: string;
}

/**
 * Start the daemon and wait for its end. What it had started is killed then.
 *
 * @param command How to start it.
 * @param commands How to start what it orders.
 * @returns How it ended.
 */
export async function superviseDaemon(
  { command, args, env }: DaemonCommand,
  commands: ChildCommands = {},
): Promise<DaemonEnd> {
  const child = new Deno.Command(command, {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    // A terminal's Ctrl-C goes to every process of its group: the daemon is to get it once, from here.
    detached: true,
    // Its end tells the daemon that this process is gone.
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  /** What was passed on to end the daemon. */
  const asked = new Set<string>();
  const reports = child.stdin.getWriter();
  reports.closed.catch(() => {});
  const encoder = new TextEncoder();
  const children = new Children(commands, async (report) => {
    // A broken pipe is the daemon's end, which is waited for.
    await reports.write(encoder.encode(JSON.stringify(report) + "\n")).catch(() => {});
  });
  const hadTerminal = Deno.stdin.isTerminal();
  const relays = RELAYED.map((signal): [Deno.Signal, () => void] => [signal, () => {
    // A terminal that was closed: the daemon has none, and would take the signal for a wish to read its configuration.
    const isClosed = signal === "SIGHUP" && hadTerminal && !Deno.stdin.isTerminal();
    if (isClosed || signal !== "SIGHUP") asked.add(isClosed ? "SIGTERM" : signal);
    tell(child, isClosed ? "SIGTERM" : signal);
  }]);
  for (const [signal, relay] of relays) Deno.addSignalListener(signal, relay);
  dropPermissions();
  let failure: string | undefined;
  const obeyed = children.obey(child.stdout).catch((error: unknown) => {
    failure = error instanceof OrderError ? error.message : `The daemon cannot be listened to: ${error}`;
    tell(child, "SIGKILL");
  });
  try {
    const { code, signal } = await child.status;
    await obeyed;
    if (failure !== undefined) return { code: 1, failure };
    if (signal === null) return { code };
    const sent = SIGNAL_NUMBERS[signal];
    // It was still starting and had no handler: there was nothing to drain.
    if (asked.has(signal)) return { code: 0 };
    return { code: sent === undefined ? code : 128 + sent, failure: `The daemon was ended by ${signal}` };
  } finally {
    for (const [signal, relay] of relays) Deno.removeSignalListener(signal, relay);
    await children.killAll();
    await reports.close().catch(() => {});
  }
}

/** All but `run`: a process that was given it for every program cannot give back a part. */
function dropPermissions(): void {
  for (const name of ["read", "write", "net", "ffi", "sys", "env"] as const) {
    Deno.permissions.revokeSync({ name });
  }
}

function tell(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // It has ended already.
  }
}
