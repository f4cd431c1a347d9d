/** How a daemon is started: merges what the caller said with the environment. Starting it is `spawn.ts`'s. */
import { type ProcessFacts, thisProcess } from "./endpoints.ts";
import { type ConnectOptions, DEFAULT_SPAWN_TIMEOUT_MS, type SurfacePaths, timeoutOr } from "./options.ts";
import { runtimeDirectory } from "./paths.ts";
import { SURFACES, UNIX_SURFACES } from "./protocol/surfaces.ts";

/** How a daemon is started, decided. */
export interface SpawnPlan {
  /** The program. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Variables on top of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Where what it prints goes. */
  readonly logPath: string;
  /** Whether the log is ours, and made anew. */
  readonly ownLog: boolean;
  /** Held by whoever starts a daemon. */
  readonly lockPath: string;
  /** The folder of the lock, and whose it has to be; `null` where there are no user ids. */
  readonly runtimeDir: string;
  readonly uid: number | null;
  /** How long a sign of life may take, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Decide how a daemon is started.
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

/** Where a daemon has to put its sockets so that they are where the caller looks for them. */
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
