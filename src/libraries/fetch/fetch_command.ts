/** Command lines of the fetch processes. They do not compute, serve or read client data, and exit when done. */
import { type EngineCommand, WITHOUT_OPTIONAL_PACKAGES } from "../../engine/ipc/command.ts";
import { confinedArguments } from "../../confinement/confined.ts";
import { LibraryError } from "../library_files.ts";
import { npmrcPaths } from "../registry.ts";

/** Variables that configure the registry, including those that npm's configuration references for tokens. */
export const ENVIRONMENT: readonly string[] = ["HOME", "NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN"];

/**
 * Command of the process that fetches native libraries. It may write only to the cache folder, and run nothing.
 * Registries redirect to unknown hosts, so all hosts are allowed; content is verified by hash.
 *
 * @param cacheDir The cache folder.
 * @param home The user's home, which may have an `.npmrc`.
 * @param meeting `socket`: private socket to meet the daemon on; default: standard input and output. `self`: see
 * `confinedArguments`; given where this program's permissions are fixed.
 * @returns The command.
 */
export function fetchCommand(cacheDir: string, home: string | undefined, { socket, self }: {
  readonly socket?: string;
  readonly self?: readonly string[] | undefined;
} = {}): EngineCommand {
  const module = import.meta.resolve("./fetch_main.ts");
  const meeting = socket === undefined ? [] : [socket];
  const read = [cacheDir, ...npmrcPaths(home), ...meeting];
  const write = [cacheDir, ...meeting];
  const command = Deno.execPath();
  if (self !== undefined) {
    const permissions = { read, write, net: true, env: [...ENVIRONMENT] };
    return { command, args: confinedArguments(module, [], { permissions, self }) };
  }
  const list = (paths: readonly string[]): string => {
    const unfit = paths.find((path) => path.includes(","));
    if (unfit === undefined) return paths.join();
    throw new LibraryError(
      `Cannot fetch into "${unfit}": Deno's flags do not allow a comma in a path. Use another path`,
    );
  };
  return {
    command,
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--allow-read=${list(read)}`,
      `--allow-write=${list(write)}`,
      "--allow-net",
      "--ignore-env",
      `--allow-env=${ENVIRONMENT.join()}`,
      module,
    ],
  };
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
