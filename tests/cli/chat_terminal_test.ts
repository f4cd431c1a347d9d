/** `inferd chat` on a terminal: a pseudo-terminal made by `script`, where there is one. */
import { assertEquals } from "@std/assert";
import { Output, Sandbox } from "../support/program.ts";
import { hasTerminal } from "../support/terminal.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

Deno.test({
  name: "inferd chat stops the answer on Ctrl-C, keeps its history, and leaves on Ctrl-D when it is on a terminal",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using _daemon = await box.serve(["--backend", "mock", "--mock-script", '{"count":100000,"delayMs":5}']);
    const command = `${Deno.execPath()} run --no-check -A ${MAIN} chat`;
    const child = new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command, "/dev/null"],
      env: { ...box.env, TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const screen = new Output(child.stdout);
    const keys = child.stdin.getWriter();
    let ended = false;
    const press = (text: string): Promise<void> => keys.write(new TextEncoder().encode(text));
    try {
      await screen.has("> ");
      await press("first question\r");
      await screen.has("3 4 5 6");
      await press("\x03");
      await screen.has("(stopped)");
      await press("\x1b[A");
      await screen.has("> first question");
      // Nothing runs now: Ctrl-C says how to leave, and leaves the line alone.
      await press("\x03");
      await screen.has("(Ctrl-D leaves)");
      await press("\x15\x04");
      assertEquals((await child.status).code, 0);
      ended = true;
    } finally {
      if (!ended) child.kill("SIGKILL");
      await child.status;
      await keys.close().catch(() => {});
      await screen.all;
    }
  },
});
