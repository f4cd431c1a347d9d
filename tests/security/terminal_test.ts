/** Threat: a model, a server or a file's name makes a terminal do something. */
import { assert, assertEquals } from "@std/assert";
import { MAIN, Sandbox } from "../support/program.ts";
import { hasTerminal } from "../support/terminal.ts";

/** Sets the clipboard, clears the screen, with eight bits and with seven. */
const HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b2J";

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
    // deno-lint-ignore no-control-regex
    const obeyed = /\x1b\]52|\x1b\[2J|\x9b/;
    for (
      const args of [
        ["generate", "--thinking", "hello"],
        ["generate", "--json", "hello"],
        ["generate", "--uds", `/${HOSTILE}/x.sock`, "hello"],
        [`${HOSTILE}`],
      ]
    ) {
      const seen = await onTerminal(box, args);
      assert(!obeyed.test(seen), JSON.stringify([args, seen]));
      assert(seen.includes("\\u001b"), JSON.stringify([args, seen]));
    }
    assert(obeyed.test(await onTerminal(box, ["generate", "--raw", "hello"])));
    // A file or another program gets what there was.
    assertEquals((await box.run(["generate", "hello"])).stdout, `answer ${HOSTILE}\n`);
  },
});
