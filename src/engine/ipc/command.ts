/**
 * The command line of the engine process. Pure, and imports nothing of the engine: the daemon uses it and never loads
 * what the engine loads.
 *
 * What the process holds while it starts: reading (the model; the libraries, wherever the npm cache is), `ffi`, and the
 * few environment variables that say where libraries and drivers are. It cannot use the network, write files or start programs. Before it reports
 * `ready` it gives back all of it (`main.ts`), so that what parses requests holds no permission at all.
 */
import { confinedArguments } from "../../confinement/confined.ts";

export interface EngineCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  /** Nothing of this process's own environment goes with it. */
  readonly clearEnv?: boolean;
}

/** A step allocates little; a larger young generation would only make the process larger. */
const V8_FLAGS = "--max-semi-space-size=1";

/** The variables the engine sees: where Deno's cache is, of which registry, where the system keeps its drivers, and cards. */
export const ENGINE_ENVIRONMENT = [
  "DENO_DIR",
  "HOME",
  "LOCALAPPDATA",
  "XDG_CACHE_HOME",
  "NPM_CONFIG_REGISTRY",
  "LD_LIBRARY_PATH",
  "CUDA_PATH",
  "CUDA_VISIBLE_DEVICES",
  "CUDA_DEVICE_ORDER",
  "CUDA_CACHE_PATH",
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

const ENGINE_SYS = ["homedir", "systemMemoryInfo"] as const;

/** The Deno flags of the engine process. Reading cannot be narrowed: see `engineCommand`. */
export const ENGINE_PERMISSIONS: readonly string[] = [
  "--no-prompt",
  "--allow-read",
  "--allow-ffi",
  `--allow-sys=${ENGINE_SYS.join()}`,
  "--ignore-env",
  `--allow-env=${ENGINE_ENVIRONMENT.join()}`,
];

/**
 * One of the variables that the engine sees.
 *
 * @param name Its name; any other is not set.
 * @returns Its value.
 */
export function engineEnvironment(name: string): string | undefined {
  const known: readonly string[] = ENGINE_ENVIRONMENT;
  return known.includes(name) ? Deno.env.get(name) : undefined;
}

/** What the engine gets of the user's environment, which may hold keys: what it needs, and nothing else. */
function handedOn(): Readonly<Record<string, string>> {
  // Deno hands `LD_…` on only for a process that may start anything: they make any program run any code.
  const mayStart = Deno.permissions.querySync({ name: "run" }).state === "granted";
  const allowed = ENGINE_ENVIRONMENT.filter((variable) =>
    Deno.permissions.querySync({ name: "env", variable }).state === "granted" &&
    (mayStart || !variable.startsWith("LD_"))
  );
  return Object.fromEntries(allowed.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}

/**
 * The command line of the engine process.
 *
 * @param self See `confinedArguments`; given where this program's permissions are fixed.
 * @returns How to start it. Reading cannot be narrowed to the model: the npm cache is read too, and its place is not
 * known.
 */
export function engineCommand(
  self: readonly string[] | undefined = Deno.build.standalone ? [] : undefined,
): EngineCommand {
  const module = import.meta.resolve("../main.ts");
  // Packages look at variables of all names; the environment has no others.
  const permissions = { read: true, ffi: true, sys: [...ENGINE_SYS], env: true };
  return {
    command: Deno.execPath(),
    env: { ...handedOn(), ...WITHOUT_OPTIONAL_PACKAGES },
    clearEnv: true,
    args: self === undefined
      ? ["run", "--quiet", `--v8-flags=${V8_FLAGS}`, ...ENGINE_PERMISSIONS, module]
      : confinedArguments(module, [], { permissions, self }),
  };
}
