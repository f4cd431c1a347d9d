/** `inferd chat` and what others show on a terminal: a pseudo-terminal made by `script`, where there is one. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
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
      // Nothing runs now: Ctrl-C clears the line, and of an empty one says how to leave.
      await press("\x03\x03");
      await screen.has("(Ctrl-D leaves)");
      await press("\x04");
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

Deno.test({
  name: "inferd chat writes no escape sequence to a stderr that is a file, though it is on a terminal",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using _daemon = await box.serve(["--backend", "mock"]);
    const file = `${box.dir}/stderr`;
    const command = `printf '/help\\nhello\\n/exit\\n' | script --quiet --return --command ` +
      `"${Deno.execPath()} run --no-check -A ${MAIN} chat 2> ${file}" /dev/null`;
    const env = { ...box.env, TERM: "xterm", NO_COLOR: "" };
    const { code } = await new Deno.Command("sh", { args: ["-c", command], env, stdin: "null", stdout: "null" })
      .output();
    assertEquals(code, 0);
    const said = Deno.readTextFileSync(file);
    assertStringIncludes(said, "/clear");
    assert(!said.includes("\x1b"), JSON.stringify(said));
  },
});

Deno.test({
  name: "no command writes an escape sequence to a terminal that says it is dumb",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using _daemon = await box.serve(["--backend", "mock"]);
    const env = { ...box.env, TERM: "dumb", NO_COLOR: "" };
    const model = new URL("../../models/inferd-tiny.gguf", import.meta.url).pathname;
    for (
      const { command, said } of [
        { command: "status", said: "ready" },
        { command: "chat", said: "/clear" },
        { command: `import ${model} --name tiny`, said: "Verifying" },
        { command: "models", said: "tiny" },
        { command: "doctor", said: "admin" },
      ]
    ) {
      const line = `printf '/exit\\n' | script --quiet --return --command ` +
        `"${Deno.execPath()} run --no-check -A ${MAIN} ${command}" /dev/null`;
      const output = await new Deno.Command("sh", { args: ["-c", line], env, stdin: "null" }).output();
      const seen = new TextDecoder().decode(output.stdout);
      assertStringIncludes(seen, said);
      assert(!seen.includes("\x1b"), JSON.stringify([command, seen]));
    }
  },
});
