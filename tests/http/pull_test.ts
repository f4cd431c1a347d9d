/** `/api/pull` with the official `ollama` package: a served model is there, a loading one is followed, others refused. */
import { assertEquals, assertRejects } from "@std/assert";
import { Ollama } from "npm:ollama@0.6.4";
import { startHttp } from "../../src/http/server.ts";
import { BridgeUnderTest, placeOf } from "../support/bridges.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import { StagedBackend } from "../support/staged_backend.ts";

Deno.test("ollama: pull of a served model is done at once, in a stream and without", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = new Ollama({ host: bridge.url });
  assertEquals((await client.pull({ model: "mock:latest" })).status, "success");
  const lines = await Array.fromAsync(await client.pull({ model: "mock", stream: true }));
  assertEquals(lines.map(({ status }) => status), ["pulling manifest", "success"]);
});

Deno.test("ollama: pull of any other model says what to do", async () => {
  await using bridge = await BridgeUnderTest.start();
  const client = new Ollama({ host: bridge.url });
  for (
    const [model, command] of [
      ["llama3", "hf:OWNER/REPO:QUANTISATION"],
      ["hf.co/owner/Some-GGUF:Q4_K_M", "hf:owner/Some-GGUF:Q4_K_M"],
      ["huggingface.co/owner/Some-GGUF:latest", "hf:owner/Some-GGUF"],
      ["hf:owner/Some-GGUF", "hf:owner/Some-GGUF"],
      // Nobody is told to paste this.
      ["hf.co/owner/$(reboot)", "hf:OWNER/REPO:QUANTISATION"],
    ] as const
  ) await assertRejects(() => client.pull({ model }), Error, `run "inferd pull ${command}"`);
});

Deno.test("ollama: pull of a model that the daemon is fetching follows the download to its end", async () => {
  const backend = new StagedBackend("staged");
  await using test = await DaemonUnderTest.start({}, { backends: [backend] });
  await backend.started;
  await using server = await startHttp({
    listen: { hostname: "127.0.0.1", port: 0 },
    daemon: placeOf(test.options),
    origins: [],
    aliases: {},
  });
  const lines = await new Ollama({ host: server.url }).pull({ model: "staged", stream: true });
  const seen: unknown[] = [];
  for await (const { status, completed, total } of lines) {
    seen.push([status, completed, total]);
    if (seen.length === 1) {
      const phase = { phase: "download", downloaded_bytes: 5, total_bytes: 10, source_url: "https://a" } as const;
      backend.tell({ type: "phase", phase });
    }
    if (seen.length === 2) backend.becomeReady();
  }
  assertEquals(seen, [
    ["pulling manifest", undefined, undefined],
    ["pulling staged", 5, 10],
    ["success", undefined, undefined],
  ]);
});
