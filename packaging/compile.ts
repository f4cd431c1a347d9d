/**
 * Makes one executable for this platform: the program, the built-in model, and the native library with the CPU code
 * that comes with inferd; the library is unpacked on the first run. Permissions are fixed when it is made, so they are
 * wider than those of `deno task start`; the engine, the same executable started by the daemon, gives back at once what
 * it does not need.
 *
 * usage: deno task compile [--output FILE, or other flags of deno compile]
 */
import { LIBRARY_VERSION, platformPackage } from "../src/engine/library_files.ts";

const platform = platformPackage(Deno.build.os, Deno.build.arch);
if (platform === undefined) {
  console.error(`No native library is published for "${Deno.build.os} ${Deno.build.arch}"`);
  Deno.exit(1);
}

const permissions = ["read", "write", "net", "env", "run", "ffi", "sys"].map((name) => `--allow-${name}`);
const { code } = await new Deno.Command(Deno.execPath(), {
  args: [
    "compile",
    "--self-extracting",
    "--no-prompt",
    ...permissions,
    "--include=models/inferd-tiny.gguf",
    "--include=src/engine/main.ts",
    `--include=npm:@node-llama-cpp/${platform}@${LIBRARY_VERSION}`,
    ...(platform === "linux-x64" ? ["--include=native/linux-x64"] : []),
    ...(Deno.args.some((arg) => /^(-o|--output)/.test(arg)) ? [] : ["--output=inferd"]),
    ...Deno.args,
    "main.ts",
  ],
  cwd: new URL("../", import.meta.url),
}).spawn().status;
Deno.exitCode = code;
