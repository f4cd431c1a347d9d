/**
 * The command lines of the processes that fetch. They do not compute, serve or read what clients send; each ends when
 * it is done.
 */
import { type EngineCommand, WITHOUT_OPTIONAL_PACKAGES } from "../../engine/ipc/command.ts";
import { npmrcPaths } from "../registry.ts";

/** With this as its first argument, an executable made by `deno compile` fetches packages. */
export const FETCH_ARGUMENT = "fetch-libraries";

/** Variables that say where the registry and its configuration are, and those that its configuration names for keys. */
const ENVIRONMENT = ["HOME", "NPM_CONFIG_REGISTRY", "NPM_TOKEN", "NODE_AUTH_TOKEN"];

/**
 * The process that fetches packages of native libraries. It may write to the cache folder alone, and start nothing. Where
 * a registry redirects to is not known beforehand, so every host is allowed: what comes is compared with a known hash.
 *
 * @param cacheDir The cache folder.
 * @param home The user's home, where configuration of npm may be.
 * @returns How to start it.
 */
export function fetchCommand(cacheDir: string, home: string | undefined): EngineCommand {
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [FETCH_ARGUMENT] };
  const read = [cacheDir, ...npmrcPaths(home)].map((path) => path.replaceAll(",", ",,")).join();
  return {
    command: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--allow-read=${read}`,
      `--allow-write=${cacheDir.replaceAll(",", ",,")}`,
      "--allow-net",
      "--ignore-env",
      `--allow-env=${ENVIRONMENT.join()}`,
      import.meta.resolve("./fetch_main.ts"),
    ],
  };
}

/**
 * The process that has Deno fetch node-llama-cpp's chat wrappers into its own cache, without the packages of native
 * libraries that belong to them. It runs nothing of what it fetches.
 */
export function chatWrappersCommand(): EngineCommand {
  return {
    command: Deno.execPath(),
    args: ["cache", "--quiet", import.meta.resolve("../../engine/chat/render/chat_wrappers.ts")],
    env: WITHOUT_OPTIONAL_PACKAGES,
  };
}
