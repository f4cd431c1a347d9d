import { assert, assertEquals } from "@std/assert";
import { engineCommand } from "../../../src/engine/command.ts";
import { platformPackage } from "../../../src/engine/library.ts";

Deno.test("engineCommand runs this deno on the engine, and grants no net, no write, no run and no environment", () => {
  const { command, args } = engineCommand();
  assertEquals(command, Deno.execPath());
  assertEquals(args[0], "run");
  assert(args.at(-1)?.endsWith("/src/engine/main.ts"));
  assertEquals(args.filter((arg) => arg.startsWith("--allow")).map((arg) => arg.split("=")[0]), [
    "--allow-read",
    "--allow-ffi",
    "--allow-sys",
  ]);
  assert(args.includes("--no-prompt") && args.includes("--ignore-env"));
});

Deno.test("platformPackage names the package when there is one for the machine", () => {
  assertEquals(platformPackage("linux", "x86_64"), "linux-x64");
  assertEquals(platformPackage("darwin", "aarch64"), "mac-arm64-metal");
  assertEquals(platformPackage("freebsd", "x86_64"), undefined);
});
