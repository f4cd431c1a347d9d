/** What commands show on a terminal while the model they ask for is loaded. */
import { assertEquals, assertMatch } from "@std/assert";
import { Sandbox } from "../support/program.ts";
import { hasTerminal, Terminal } from "../support/terminal.ts";

/** Lines that overwrite each other, the last one erased before the answer. */
// deno-lint-ignore no-control-regex
const LOADING = /\x1b\[2KLoading weights of inferd-tiny[^\n]*\r\x1b\[2K(?:Paris|\{)/;

Deno.test({
  name: "generate and chat show what loading a model on demand is at, on a terminal only",
  ignore: !await hasTerminal(),
  async fn(): Promise<void> {
    await using box = new Sandbox();
    const backend = { kind: "llamacpp", load: "on_demand", idle_unload_secs: 1, name: "local" };
    const config = `${box.dir}/config.json`;
    Deno.writeTextFileSync(config, JSON.stringify({ backends: [{ ...backend, model: { name: "inferd-tiny" } }] }));
    await using _daemon = await box.serve(["--config", config]);
    const asked = ["generate", "--temperature", "0", "What is the capital of France?"];
    for (const more of [[], ["--json"]]) {
      await using generate = new Terminal(box, [...asked.map((word) => `'${word}'`), ...more]);
      assertEquals(await generate.ended(), 0);
      assertMatch(await generate.screen.all, LOADING);
      await asleep(box);
    }
    const { stderr } = await box.run(asked);
    assertEquals(stderr, "");
    await asleep(box);
    await using chat = new Terminal(box, ["chat", "--temperature", "0"]);
    await chat.screen.has("inferd-tiny> ");
    await chat.press("What is the capital of France?\r");
    await chat.screen.match(LOADING);
    await chat.press("\x04");
    assertEquals(await chat.ended(), 0);
  },
});

async function asleep(box: Sandbox): Promise<void> {
  for await (const event of box.admin.watch()) {
    if (event.status === "capabilities" && event.state === "asleep") return;
  }
}
