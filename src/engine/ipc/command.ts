/**
 * The command line of the engine process. Pure, and imports nothing of the engine: the daemon uses it and never loads
 * what the engine loads.
 *
 * What the process holds while it starts: reading (the model; the libraries, wherever the npm cache is), `ffi`, and the
 * few environment variables that say where libraries and drivers are. It cannot use the network, write files or start programs. Before it reports
 * `ready` it gives back all of it (`main.ts`), so that what parses requests holds no permission at all.
 */

/** How to start an engine. */
export interface EngineCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  /** Nothing of this process's own environment goes with it. */
  readonly clearEnv?: boolean;
}

/** A step allocates little; a larger young generation would only make the process larger. */
const V8_FLAGS = "--max-semi-space-size=1";

/** The variables the engine sees: where Deno's cache is, of which registry, and where the system keeps its drivers. */
export const ENGINE_ENVIRONMENT = [
  "DENO_DIR",
  "HOME",
  "LOCALAPPDATA",
  "XDG_CACHE_HOME",
  "NPM_CONFIG_REGISTRY",
  "LD_LIBRARY_PATH",
  "CUDA_PATH",
  "VK_DRIVER_FILES",
  "VK_ICD_FILENAMES",
  "XDG_DATA_DIRS",
  "PATH",
  "ProgramFiles",
  "SystemRoot",
] as const;

/**
 * node-llama-cpp names the packages of every accelerator as optional. Deno fetches those that are for its own processor;
 * for one that there is not it fetches none, and the chat wrappers come without 370 MB of libraries.
 */
export const WITHOUT_OPTIONAL_PACKAGES = { DENO_INSTALL_ARCH: "none" } as const;

/** The Deno flags of the engine process. Reading cannot be narrowed: see `engineCommand`. */
export const ENGINE_PERMISSIONS: readonly string[] = [
  "--no-prompt",
  "--allow-read",
  "--allow-ffi",
  "--allow-sys=homedir,systemMemoryInfo",
  "--ignore-env",
  `--allow-env=${ENGINE_ENVIRONMENT.join()}`,
];

/** With this as its first argument, an executable made by `deno compile` is the engine. */
export const ENGINE_ARGUMENT = "engine";

const seen = new Map<string, string | undefined>();

/**
 * One of the variables that the engine sees.
 *
 * @param name Its name; any other is not set.
 * @returns Its value, as it was when it was first asked for or when the environment was closed.
 */
export function engineEnvironment(name: string): string | undefined {
  const known: readonly string[] = ENGINE_ENVIRONMENT;
  if (!known.includes(name)) return undefined;
  if (!seen.has(name)) seen.set(name, Deno.env.get(name));
  return seen.get(name);
}

/** For an executable made by `deno compile`: give back the permission to read all variables, and keep these. */
export function closeEnvironment(): void {
  for (const name of ENGINE_ENVIRONMENT) engineEnvironment(name);
  Deno.permissions.revokeSync({ name: "env" });
}

/** What was set of the variables that the engine sees, when that was last asked for. */
let handed: Readonly<Record<string, string>> = {};

/** Read the variables now that the engine is to see: later this process may have no permission to. */
export function rememberEngineEnvironment(): void {
  const allowed = ENGINE_ENVIRONMENT.filter((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted"
  );
  if (allowed.length === 0) return;
  handed = Object.fromEntries(allowed.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/** What the engine gets of the user's environment, which may hold keys: what it needs, and nothing else. */
function handedOn(): Readonly<Record<string, string>> {
  rememberEngineEnvironment();
  // Deno hands these on only for a process that may start anything: they make any program run any code.
  if (Deno.permissions.querySync({ name: "run" }).state === "granted") return handed;
  return Object.fromEntries(Object.entries(handed).filter(([name]) => !name.startsWith("LD_")));
}

/**
 * The command line of the engine process. The permissions of an executable made by `deno compile` are fixed; there the
 * engine is the same executable, and gives back at once what the flags below do not give.
 *
 * @returns How to start it. Reading cannot be narrowed to the model: the npm cache is read too, and its place is not
 * known.
 */
export function engineCommand(): EngineCommand {
  const env = { ...handedOn(), ...WITHOUT_OPTIONAL_PACKAGES };
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [ENGINE_ARGUMENT], env, clearEnv: true };
  return {
    command: Deno.execPath(),
    env,
    clearEnv: true,
    args: [
      "run",
      "--quiet",
      `--v8-flags=${V8_FLAGS}`,
      ...ENGINE_PERMISSIONS,
      import.meta.resolve("../main.ts"),
    ],
  };
}
