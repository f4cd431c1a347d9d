import { assert, assertEquals } from "@std/assert";
import { engineCommand } from "../../src/engine/ipc/command.ts";

Deno.test("engine may read and call the library when it loads, and nothing when it serves", async () => {
  const { command, args, env } = engineCommand();
  const script = new URL("permissions_left.ts", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(command, { args: [...args.slice(0, -1), script], env: { ...env } })
    .output();
  const [loading, serving] = JSON.parse(new TextDecoder().decode(stdout)) as string[][];
  assert(loading !== undefined);
  assert(["read", "ffi"].every((name) => loading.includes(name)), loading.join());
  assert(!["write", "net", "run", "env"].some((name) => loading.includes(name)), loading.join());
  assertEquals(serving, []);
});
