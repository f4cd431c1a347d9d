/** Resolves how to start a daemon from options and environment. `spawn.ts` starts it. */
import { type ProcessFacts, thisProcess } from "./endpoints.ts";
import { type ConnectOptions, DEFAULT_SPAWN_TIMEOUT_MS, type SurfacePaths, timeoutOr } from "./options.ts";
import { runtimeDirectory } from "./paths.ts";
import { SURFACES, UNIX_SURFACES } from "./protocol/surfaces.ts";

/** How to start a daemon. */
export interface SpawnPlan {
  /** The program. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Additional environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** The file for its output. */
  readonly logPath: string;
  /** Whether the log is the default one, and truncated. */
  readonly ownLog: boolean;
  /** The lock held while a daemon is started. */
  readonly lockPath: string;
  /** The folder of the lock, and its required owner; `null` without user ids. */
  readonly runtimeDir: string;
  readonly uid: number | null;
  /** Time for a sign of life, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Resolve how to start a daemon.
 *
 * @throws {TypeError} If the command is empty.
 * @throws {RangeError} If the timeout is negative or not a number.
 */
export function spawnPlan(options: ConnectOptions, facts: ProcessFacts = thisProcess()): SpawnPlan {
  const spawn = typeof options.spawn === "object" ? options.spawn : {};
  const command = spawn.command ?? (facts.env("INFERD_COMMAND") || "inferd");
  if (typeof command !== "string" || command === "") throw new TypeError('Cannot spawn: "command" must not be empty');
  const runtimeDir = runtimeDirectory(facts);
  return {
    command,
    args: spawn.args ?? ["serve"],
    env: { ...socketVariables(options), ...spawn.env },
    logPath: spawn.logPath ?? `${runtimeDir}/inferd.spawn.log`,
    ownLog: spawn.logPath === undefined,
    lockPath: `${runtimeDir}/inferd.spawn.lock`,
    runtimeDir,
    uid: facts.uid,
    timeoutMs: timeoutOr(spawn.timeoutMs, DEFAULT_SPAWN_TIMEOUT_MS),
  };
}

/** Variables for a daemon so that its sockets are where the caller expects them. */
function socketVariables({ path, paths, adminPath }: ConnectOptions): Record<string, string> {
  const variables: Record<string, string> = {};
  const say = (variable: string, place: string | undefined): void => {
    if (place !== undefined) variables[variable] = place;
  };
  for (const [name, { variable }] of Object.entries(SURFACES)) {
    say(variable, name === "infer" ? path : paths?.[name as keyof SurfacePaths]);
  }
  say(UNIX_SURFACES.admin.variable, adminPath);
  return variables;
}
