/** Several surfaces at once: over TCP, with one engine each, and when one of these dies. */
import { assertEquals } from "@std/assert";
import type { LlamaBackendConfig, SurfaceName } from "../../src/config/options.ts";
import { daemonOptions, DaemonUnderTest, until } from "../support/daemons.ts";
import { WireClient } from "../support/wire_client.ts";

const MESSAGE = { role: "user", content: "hello" };
const REQUESTS: Readonly<Record<SurfaceName, Record<string, unknown>>> = {
  infer: { messages: [MESSAGE], stream: false },
  v2: { messages: [{ ...MESSAGE, content: [{ type: "text", text: "hello" }] }], tool_choice: "none" },
  embed: { input: ["hello"] },
  rerank: { query: "hello", documents: ["hello"] },
};
const ANSWERS: Readonly<Record<SurfaceName, string>> = {
  infer: "done",
  v2: "done",
  embed: "embeddings",
  rerank: "rerank",
};
const NAMES = Object.keys(REQUESTS) as SurfaceName[];

/** The type of the frame that ends the answer. */
async function ask(client: WireClient, name: SurfaceName): Promise<unknown> {
  await client.send(REQUESTS[name]);
  for (;;) {
    const { type } = await client.frame();
    if (type !== "frame") return type;
  }
}

/** Which sockets of surfaces stand. */
function standing(test: DaemonUnderTest): SurfaceName[] {
  const files = new Set(test.files());
  return NAMES.filter((name) => files.has(test.options.listen[name].socket.split("/").at(-1) ?? ""));
}

Deno.test("every surface answers over TCP to who has the key, and closes without a byte to who has not", async () => {
  const tcp = { hostname: "127.0.0.1", port: 0 };
  const { listen } = daemonOptions("/nowhere");
  const dir = await Deno.makeTempDir({ prefix: "inferd-tcp-" });
  const withTcp = Object.fromEntries(
    NAMES.map((name) => [name, { socket: `${dir}/${listen[name].socket.split("/").at(-1)}`, tcp }]),
  ) as Record<SurfaceName, { socket: string; tcp: typeof tcp }>;
  {
    await using test = await DaemonUnderTest.start({ listen: withTcp, apiKey: "k" });
    await test.daemon.ready;
    const listening = test.log.of("listening").map(({ fields }) => `${fields.surface} ${fields.address}`);
    for (const name of NAMES) {
      const surface = name === "infer" ? "v1" : name;
      const head = `${surface} 127.0.0.1:`;
      const port = Number(listening.find((line) => line.startsWith(head))?.slice(head.length));
      using client = await WireClient.connect(port);
      await client.send({ type: "auth", key: "k" });
      assertEquals(await ask(client, name), ANSWERS[name]);
      using stranger = await WireClient.connect(port);
      await stranger.send({ type: "auth", key: "wrong" });
      assertEquals(await stranger.line(), undefined);
    }
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("one engine each serves every surface, and only its own surfaces go when it dies", async () => {
  const engine = (name: string, modelName: string): LlamaBackendConfig => ({ kind: "llamacpp", name, modelName });
  await using test = await DaemonUnderTest.start({
    backends: [
      engine("chat", "inferd-tiny"),
      engine("vectors", "inferd-tiny-embed"),
      engine("scores", "inferd-tiny-rerank"),
    ],
  });
  await test.daemon.ready;
  assertEquals(standing(test), NAMES);
  for (const name of NAMES) {
    using client = await test.surface(name);
    assertEquals(await ask(client, name), ANSWERS[name]);
  }
  using admin = await test.admin();
  await until(admin, "ready");
  const started = test.log.of("engine_started").find(({ fields }) => fields.backend === "chat");
  Deno.kill(Number(started?.fields.pid), "SIGKILL");
  await until(admin, "restarting checking_local");
  assertEquals(standing(test), ["embed", "rerank"]);
  using client = await test.surface("embed");
  assertEquals(await ask(client, "embed"), ANSWERS.embed);
  await until(admin, "ready");
  assertEquals(standing(test), NAMES);
});
