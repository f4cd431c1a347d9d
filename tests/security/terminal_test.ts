/** Threat: a model, a server or a file's name makes a terminal do something. */
import { assert, assertEquals } from "@std/assert";
import { MAIN, Sandbox } from "../support/program.ts";
import { hasTerminal } from "../support/terminal.ts";

/** Sets the clipboard, clears the screen, with eight bits and with seven, and turns the direction of text. */
const HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b2J\u202e\u061c";
// deno-lint-ignore no-control-regex
const OBEYED = /\x1b\]52|\x1b\[2J|[\x9b\u202e\u061c]/;

/** What a terminal gets of a command. */
async function onTerminal(box: Sandbox, args: readonly string[]): Promise<string> {
  const command = [Deno.execPath(), "run", "--no-check", "-A", MAIN, ...args].map((word) => `'${word}'`).join(" ");
  const { stdout } = await new Deno.Command("script", {
    args: ["--quiet", "--return", "--command", command, "/dev/null"],
    env: { ...box.env, TERM: "xterm", NO_COLOR: "" },
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "no control character of an answer, a thought, a name or an error gets to a terminal, unless --raw asks for it",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const script = JSON.stringify({ tokens: [`answer ${HOSTILE}`], thinking: [`thought ${HOSTILE}`] });
    await using _daemon = await box.serve(["--backend", "mock", "--mock-script", script]);
    for (
      const args of [
        ["generate", "--thinking", "hello"],
        ["generate", "--json", "hello"],
        ["generate", "--uds", `/${HOSTILE}/x.sock`, "hello"],
        // The name is its prompt.
        ["chat", "--model", HOSTILE],
        [`${HOSTILE}`],
      ]
    ) {
      const seen = await onTerminal(box, args);
      assert(!OBEYED.test(seen), JSON.stringify([args, seen]));
      assert(seen.includes("\\u001b"), JSON.stringify([args, seen]));
    }
    assert(OBEYED.test(await onTerminal(box, ["generate", "--raw", "hello"])));
    // A file or another program gets what there was.
    assertEquals((await box.run(["generate", "hello"])).stdout, `answer ${HOSTILE}\n`);
  },
});

Deno.test({
  name: "the question whether a name is to be reassigned shows where its model is from without control characters",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const models = new URL("../../models/", import.meta.url).pathname;
    const from = `${box.dir}/${HOSTILE}.gguf`;
    await Deno.copyFile(`${models}inferd-tiny.gguf`, from);
    assertEquals((await box.run(["import", from, "--name", "taken"])).code, 0);
    const seen = await onTerminal(box, ["import", `${models}inferd-tiny-embed.gguf`, "--name", "taken"]);
    assert(seen.includes("Replace it? [y/N]") && seen.includes("\\u001b]52"), JSON.stringify(seen));
    assert(!OBEYED.test(seen), JSON.stringify(seen));
  },
});
