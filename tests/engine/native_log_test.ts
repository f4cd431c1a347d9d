import { assertEquals, assertMatch } from "@std/assert";
import { engineCommand } from "../../src/engine/ipc/command.ts";

Deno.test("a serving engine passes on what llama.cpp complains of, and no line for each change of the threads", async () => {
  const { command, args, env } = engineCommand();
  const script = new URL("native_log.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args.slice(0, -1), script],
    env: { ...env },
  }).output();
  const text = new TextDecoder();
  assertEquals([code, text.decode(stdout)], [0, "llama_decode failed with status -1\n"], text.decode(stderr));
  const [, serving = ""] = text.decode(stderr).split("serving\n");
  assertMatch(serving, /^init: invalid token\[0\] = 1000000\n/);
  assertEquals(serving.match(/set_n_threads|attach_threadpool/g), null, serving);
});
