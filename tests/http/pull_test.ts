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
  await assertRejects(() => client.pull({ model: "llama3" }), Error, 'run "inferd pull"');
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
