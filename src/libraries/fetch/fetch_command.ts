/** Command lines of the fetch processes. They do not compute, serve or read client data, and exit when done. */
import { type EngineCommand, WITHOUT_OPTIONAL_PACKAGES } from "../../engine/ipc/command.ts";
import { confinedArguments } from "../../confinement/confined.ts";
import { LibraryError } from "../library_files.ts";
import { npmrcPaths } from "../registry.ts";

/** Variables that configure the registry, including those that npm's configuration references for tokens. */
export const ENVIRONMENT: readonly string[] = ["HOME", "NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN"];

/** The monitor's private socket to meet the daemon on, and how to pass paths that Deno's flags cannot express. */
export interface UnderMonitor {
  readonly socket: string;
  readonly passSet: (set: { readonly read: readonly string[]; readonly write: readonly string[] }) => readonly string[];
  /** As `confinedArguments` has it; given where this program's permissions are fixed. */
  readonly self?: readonly string[] | undefined;
}

/**
 * The Deno flags of the process that fetches native libraries. It may write only to the cache folder, and run nothing.
 * Registries redirect to unknown hosts, so all hosts are allowed; content is verified by hash.
 *
 * @param cacheDir The cache folder.
 * @param home The user's home, which may have an `.npmrc`.
 * @param under Default: it talks through standard input and output, and all paths can be expressed.
 * @throws {LibraryError} If a path cannot be expressed.
 */
export function fetchPermissions(cacheDir: string, home: string | undefined, under?: UnderMonitor): string[] {
  const { read, write } = fetchPaths(cacheDir, home, under);
  const unfit = read.find((path) => path.includes(","));
  if (unfit !== undefined && under === undefined) {
    throw new LibraryError(
      `Cannot fetch into "${unfit}": Deno's flags do not allow a comma in a path. Use another path`,
    );
  }
  return [
    "--no-prompt",
    ...unfit !== undefined && under !== undefined
      ? under.passSet({ read, write })
      : [`--allow-read=${read.join()}`, `--allow-write=${write.join()}`],
    "--allow-net",
    "--ignore-env",
    `--allow-env=${ENVIRONMENT.join()}`,
  ];
}

/**
 * Command of the process that fetches native libraries.
 *
 * @param cacheDir The cache folder.
 * @param home The user's home, which may have an `.npmrc`.
 * @param under As for `fetchPermissions`.
 * @throws {LibraryError} If a path cannot be expressed.
 */
export function fetchCommand(cacheDir: string, home: string | undefined, under?: UnderMonitor): EngineCommand {
  const module = import.meta.resolve("./fetch_main.ts");
  const command = Deno.execPath();
  if (under?.self !== undefined) {
    const permissions = { ...fetchPaths(cacheDir, home, under), net: true, env: [...ENVIRONMENT] };
    return { command, args: confinedArguments(module, [], { permissions, self: under.self }) };
  }
  return { command, args: ["run", "--quiet", ...fetchPermissions(cacheDir, home, under), module] };
}

function fetchPaths(
  cacheDir: string,
  home: string | undefined,
  under?: Pick<UnderMonitor, "socket">,
): { readonly read: string[]; readonly write: string[] } {
  const write = [cacheDir, ...under === undefined ? [] : [under.socket]];
  return { read: [...write, ...npmrcPaths(home)], write };
}

/**
 * Command of the process that lets Deno cache node-llama-cpp's chat wrappers without their native packages. It runs
 * none of the fetched code.
 */
export function chatWrappersCommand(): EngineCommand {
  return {
    command: Deno.execPath(),
    args: ["cache", "--quiet", import.meta.resolve("../../engine/chat/render/chat_wrappers.ts")],
    env: WITHOUT_OPTIONAL_PACKAGES,
  };
}
