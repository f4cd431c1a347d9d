import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { compileArguments } from "../../../packaging/compile.ts";
import { ROOT } from "../../../packaging/copy.ts";
import { LIBRARY_VERSION } from "../../../src/libraries/library_files.ts";
import { BUILT_INS } from "../../../src/models/built_in.ts";

const included = (args: readonly string[]): string[] =>
  args.flatMap((arg) => arg.startsWith("--include=") ? [arg.slice("--include=".length)] : []);

Deno.test("the executable carries every built-in model, what is loaded at run time and the platform's library", () => {
  const files = included(compileArguments("linux-x64", []));
  const models = Object.values(BUILT_INS).map(({ url }) => fromFileUrl(url));
  const modules = [
    "src/cli/daemon_main.ts",
    "src/cli/http_main.ts",
    "src/http/server.ts",
    "src/engine/main.ts",
    "src/engine/chat/render/chat_wrappers.ts",
    "src/libraries/fetch/fetch_main.ts",
    "src/pulls/worker.ts",
  ]
    .map((path) => join(ROOT, path));
  assertEquals(
    files.map((file) => file.startsWith("npm:") ? file : join(ROOT, file)),
    [...models, ...modules, `npm:@node-llama-cpp/linux-x64@${LIBRARY_VERSION}`],
  );
  for (const file of [...models, ...modules]) assertEquals(Deno.statSync(file).isFile, true);
  // Its processes are confined in workers.
  assertEquals(compileArguments("linux-x64", []).includes("--unstable-worker-options"), true);
});

Deno.test("the executable is called inferd unless the command line says otherwise", () => {
  const output = (...args: string[]): string[] =>
    compileArguments("linux-x64", args).filter((arg) => /^(-o|--output)/.test(arg));
  assertEquals(output(), ["--output=inferd"]);
  assertEquals(output("--output", "other"), ["--output"]);
  assertEquals(output("-o", "other"), ["-o"]);
  assertEquals(compileArguments("linux-x64", ["--quiet"]).slice(-2), ["--quiet", "main.ts"]);
});
