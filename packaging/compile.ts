/**
 * Makes one executable for this platform: the program, the built-in models and the native library of the CPU's package,
 * which is unpacked on the first run. The package of a GPU is fetched by the machine that has one. Permissions are fixed
 * when it is made, so they are wider than those of `deno task start`; the engine and what fetches, the same executable
 * started by the daemon, give back at once what they do not need.
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
 * The command line of `deno` that makes the executable.
 *
 * @param platform Whose native library goes into it, as npm's packages are called.
 * @param args Further flags of `deno compile`.
 * @returns The arguments; paths are relative to the checkout.
 */
export function compileArguments(platform: string, args: readonly string[]): string[] {
  const models = Object.values(BUILT_INS).map(({ url }) => relative(ROOT, fromFileUrl(url)));
  // What is loaded at run time only, Deno does not find by itself.
  const modules = [
    "src/cli/daemon.ts",
    "src/engine/main.ts",
    "src/engine/chat/render/chat_wrappers.ts",
    "src/libraries/fetch/fetch_main.ts",
  ];
  const included = [...models, ...modules, `npm:@node-llama-cpp/${platform}@${LIBRARY_VERSION}`];
  return [
    "compile",
    "--self-extracting",
    "--no-prompt",
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
