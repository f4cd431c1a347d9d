/** Command lines of the fetch processes. They do not compute, serve or read client data, and exit when done. */
import { type EngineCommand, WITHOUT_OPTIONAL_PACKAGES } from "../../engine/ipc/command.ts";
import { LibraryError } from "../library_files.ts";
import { npmrcPaths } from "../registry.ts";

/** First argument that makes a compiled executable fetch packages. */
export const FETCH_ARGUMENT = "fetch-libraries";

/** Variables that configure the registry, including those that npm's configuration references for tokens. */
const ENVIRONMENT = ["HOME", "NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN"];

/**
 * Command of the process that fetches native libraries. It may write only to the cache folder, and run nothing.
 * Registries redirect to unknown hosts, so all hosts are allowed; content is verified by hash.
 *
 * @param cacheDir The cache folder.
 * @param home The user's home, which may have an `.npmrc`.
 * @param socket Private socket to meet the daemon on. Default: standard input and output.
 * @returns The command.
 */
export function fetchCommand(cacheDir: string, home: string | undefined, socket?: string): EngineCommand {
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [FETCH_ARGUMENT] };
  const list = (paths: readonly string[]): string => {
    const unfit = paths.find((path) => path.includes(","));
    if (unfit === undefined) return paths.join();
    throw new LibraryError(
      `Cannot fetch into "${unfit}": Deno's flags do not allow a comma in a path. Use another path`,
    );
  };
  const meeting = socket === undefined ? [] : [socket];
  return {
    command: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--allow-read=${list([cacheDir, ...npmrcPaths(home), ...meeting])}`,
      `--allow-write=${list([cacheDir, ...meeting])}`,
      "--allow-net",
      "--ignore-env",
      `--allow-env=${ENVIRONMENT.join()}`,
      import.meta.resolve("./fetch_main.ts"),
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
