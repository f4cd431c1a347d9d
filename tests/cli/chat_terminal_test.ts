/** `inferd chat` and what others show on a terminal: a pseudo-terminal made by `script`, where there is one. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ModelServer } from "../support/model_server.ts";
import { OpenAiServer, words } from "../support/openai_server.ts";
import { MAIN, Sandbox } from "../support/program.ts";
import { hasTerminal, Terminal } from "../support/terminal.ts";

Deno.test({
  name: "inferd chat stops the answer on Ctrl-C, keeps its history for the next chat, and leaves on Ctrl-D",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using _daemon = await box.serve(["--backend", "mock", "--mock-script", '{"count":100000,"delayMs":5}']);
    {
      await using chat = new Terminal(box, ["chat"]);
      await chat.screen.has("mock> ");
      await chat.press("first question\r");
      await chat.screen.has("3 4 5 6");
      await chat.press("\x03");
      await chat.screen.has("(stopped)");
      await chat.press("\x1b[A");
      await chat.screen.has("mock> first question");
      // Nothing runs now: Ctrl-C clears the line, and of an empty one says how to leave.
      await chat.press("\x03\x03");
      await chat.screen.has("(Ctrl-D leaves)");
      await chat.press("\x04");
      assertEquals(await chat.ended(), 0);
    }
    const { mode = 0, size } = Deno.statSync(`${box.dir}/.inferd/chat_history`);
    assertEquals([(mode ?? 0) & 0o777, size], [0o600, "first question\n".length]);
    await using again = new Terminal(box, ["chat"]);
    await again.screen.has("mock> ");
    await again.press("\x1b[A");
    await again.screen.has("mock> first question");
  },
});

Deno.test({
  name: "inferd chat takes a pasted text as one message, and Ctrl-C drops a message that goes on",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    const asked: unknown[] = [];
    await using server = new OpenAiServer(async (request) => {
      asked.push((request.body.messages as { content: unknown }[]).at(-1)?.content);
      await request.stream(...words(`answer ${asked.length}`));
    });
    await using box = new Sandbox();
    const config = `${box.dir}/config.json`;
    const remote = { kind: "openai-compat", name: "remote", base_url: server.url, model: "far" };
    Deno.writeTextFileSync(config, JSON.stringify({ backends: [remote] }));
    await using _daemon = await box.serve(["--config", config]);
    await using chat = new Terminal(box, ["chat"]);
    await chat.screen.has("far> ");
    await chat.press("\x1b[200~one\r\ntwo\x9b2J\rthree\x1b[201~ four\r");
    await chat.screen.has("answer 1");
    await chat.press("half\\\r");
    await chat.screen.has("... ");
    await chat.press("\x03");
    const long = Array.from({ length: 200 }, (_, line) => `line ${line} of a long text`).join("\n");
    await chat.press(`\x1b[200~${long}\x1b[201~`);
    await chat.screen.has("[paste 1: 200 lines]");
    await chat.press("\r");
    await chat.screen.has("answer 2");
    assertEquals(asked, ["one\ntwo2J\nthree four", long]);
    await chat.press("/bye\r");
    assertEquals(await chat.ended(), 0);
  },
});

Deno.test({
  name: "inferd chat keeps what is typed during an answer for the next message, and Ctrl-C drops it",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    await using _daemon = await box.serve(["--backend", "mock", "--mock-script", '{"count":60,"delayMs":10}']);
    await using chat = new Terminal(box, ["chat"]);
    await chat.screen.has("mock> ");
    await chat.press("one\r");
    await chat.screen.has("3 4 5 6");
    await chat.press("typed ahead\r");
    // The answer goes on in one piece, then the message is there.
    await chat.screen.match(/3 4 5 6 7 8 9 10[^t]*59[^]*mock> [^]*typed ahead[^]*3 4 5 6/);
    await chat.press("given up");
    await chat.press("\x03");
    await chat.screen.has("(stopped)");
    await chat.press("\x04");
    assertEquals(await chat.ended(), 0);
    const all = await chat.screen.all;
    assert(!all.includes("given up"), all);
  },
});

Deno.test({
  name: "inferd chat wraps answers at words, as wide as the terminal, and dims what the model thinks",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const script = {
      thinking: ["a thought that ", "is longer than a line"],
      tokens: ["Point in", "ferd at a lar", "ger model"],
    };
    await using _daemon = await box.serve(["--backend", "mock", "--mock-script", JSON.stringify(script)]);
    // deno-lint-ignore no-control-regex
    const dimmed = /\x1b\[2ma thought that\x1b\[22m[^]*\nis longer than a/;
    await using chat = new Terminal(box, ["chat", "--thinking"], { columns: 16, env: { NO_COLOR: "" } });
    await chat.screen.has("mock> ");
    await chat.press("hi\r");
    await chat.screen.match(dimmed);
    await chat.screen.has("Point inferd at\r\na larger model");
    await chat.press("\x04");
    assertEquals(await chat.ended(), 0);
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

Deno.test({
  name: "inferd pull shows amounts before the address, and no more than a narrow terminal has room for",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const bytes = Deno.readFileSync(new URL("../../models/inferd-tiny-embed.gguf", import.meta.url));
    // What comes at once is not shown piece by piece; after the second request there was time.
    const script = [{ cutAfter: bytes.length >> 1 }, { stallAfter: 10_000 }];
    await using server = new ModelServer(bytes, script);
    await using pull = new Terminal(box, ["pull", server.url], { columns: 40 });
    await pull.screen.has(" of 1.96 MiB");
    await pull.press("\x03");
    assertEquals(await pull.ended(), 1);
    // deno-lint-ignore no-control-regex
    const drawn = (await pull.screen.all).split(/[\r\n]+\x1b\[2K/).filter((line) =>
      line.includes("://") || line.includes("%")
    );
    assertMatch(drawn.at(-1) ?? "", /^50 % {2}\d+ kiB of 1\.96 MiB/);
    for (const line of drawn) assert((line.split("^C")[0] ?? "").length < 40, line);
  },
});
