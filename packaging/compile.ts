/**
 * Compiles one executable for this platform: the program, the built-in models and the CPU package's native library,
 * which is unpacked on the first run. GPU packages are downloaded on machines with a GPU. Permissions are fixed at
 * compile time: its child processes are the same executable, and run in a worker with exact permissions or drop at once
 * what they do not need.
 *
 * usage: deno task compile [--output FILE, or other flags of deno compile]
 */
import { fromFileUrl, relative } from "@std/path";
import { WITHOUT_OPTIONAL_PACKAGES } from "../src/engine/ipc/command.ts";
import { LIBRARY_VERSION, platformPackage } from "../src/libraries/library_files.ts";
import { BUILT_INS } from "../src/models/built_in.ts";
import { ROOT } from "./copy.ts";

const PERMISSIONS = ["read", "write", "net", "env", "run", "ffi", "sys"];

/**
 * Compute the command line of `deno compile`.
 *
 * @param platform Platform of the native library, as in npm package names.
 * @param args Further flags of `deno compile`.
 * @returns The arguments; paths are relative to the checkout.
 */
export function compileArguments(platform: string, args: readonly string[]): string[] {
  const models = Object.values(BUILT_INS).map(({ url }) => relative(ROOT, fromFileUrl(url)));
  // Modules loaded only at run time, which Deno does not detect.
  const modules = [
    "src/cli/daemon_main.ts",
    "src/cli/http_main.ts",
    "src/http/server.ts",
    "src/engine/main.ts",
    "src/engine/chat/render/chat_wrappers.ts",
    "src/libraries/fetch/fetch_main.ts",
    "src/pulls/worker.ts",
  ];
  const included = [...models, ...modules, `npm:@node-llama-cpp/${platform}@${LIBRARY_VERSION}`];
  return [
    "compile",
    "--self-extracting",
    "--no-prompt",
    "--unstable-worker-options",
    ...PERMISSIONS.map((name) => `--allow-${name}`),
    ...included.map((one) => `--include=${one}`),
    ...(args.some((arg) => /^(-o|--output)/.test(arg)) ? [] : ["--output=inferd"]),
    ...args,
    "main.ts",
  ];
}

if (import.meta.main) {
  const platform = platformPackage(Deno.build.os, Deno.build.arch);
  if (platform === undefined) {
    console.error(`Cannot compile for "${Deno.build.os} ${Deno.build.arch}": no native library is published for it`);
    Deno.exit(1);
  }
  const args = compileArguments(platform, Deno.args);
  Deno.exitCode =
    (await new Deno.Command(Deno.execPath(), { args, cwd: ROOT, env: WITHOUT_OPTIONAL_PACKAGES }).spawn().status).code;
}
