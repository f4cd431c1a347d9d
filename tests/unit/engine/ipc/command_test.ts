import { assert, assertEquals } from "@std/assert";
import { engineCommand } from "../../../../src/engine/ipc/command.ts";

Deno.test("engineCommand runs this deno on the engine, and grants no net, no write, no run and no whole environment", () => {
  const { command, args } = engineCommand();
  assertEquals(command, Deno.execPath());
  assertEquals(args[0], "run");
  assert(args.at(-1)?.endsWith("/src/engine/main.ts"));
  assertEquals(args.filter((arg) => arg.startsWith("--allow")).map((arg) => arg.split("=")[0]), [
    "--allow-read",
    "--allow-ffi",
    "--allow-sys",
    "--allow-env",
  ]);
  assert(args.includes("--no-prompt") && args.includes("--ignore-env"));
});
