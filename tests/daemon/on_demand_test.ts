/** Models that are loaded when they are asked for: a daemon, its sockets and engines with the built-in models. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { LlamaBackendConfig } from "../../src/config/options.ts";
import { DaemonUnderTest } from "../support/daemons.ts";
import type { WireClient } from "../support/wire_client.ts";

const FIRST: LlamaBackendConfig = { kind: "llamacpp", name: "first", modelName: "inferd-tiny", contextTokens: 256 };
const EMBED: LlamaBackendConfig = {
  kind: "llamacpp",
  name: "vectors",
  modelName: "inferd-tiny-embed",
  load: "on_demand",
};

/** Frames of the admin stream up to the one that tells a state of a backend. */
async function until(admin: WireClient, backend: string, state: string): Promise<Record<string, unknown>[]> {
  const frames: Record<string, unknown>[] = [];
  for (;;) {
    const frame: Record<string, unknown> = await admin.frame();
    frames.push(frame);
    if (frame.backend === backend && frame.state === state) return frames;
  }
}

Deno.test("a model on demand is told, served and put to rest, and its sockets stand all the time", async () => {
  await using daemon = await DaemonUnderTest.start({ backends: [FIRST, { ...EMBED, idleUnloadSecs: 1 }] });
  await daemon.daemon.ready;
  using admin = await daemon.admin();
  const [told] = (await until(admin, "vectors", "asleep")).slice(-1);
  assert(told?.embed === true);
  using client = await daemon.surface("embed");
  for (let time = 0; time < 2; time++) {
    await client.send({ input: ["hello"] });
    const answer: Record<string, unknown> = await client.frame();
    assertEquals([answer.type, answer.backend ?? "vectors"], ["embeddings", "vectors"]);
    const frames = await until(admin, "vectors", "ready");
    const phases = frames.flatMap(({ phase }) => phase === undefined ? [] : [phase]);
    assert(phases.includes("mmap"), `phases: ${phases}`);
    assert(frames.every(({ status }) => status === "capabilities" || status === "ready"));
    await until(admin, "vectors", "asleep");
  }
});

Deno.test("a model on demand that cannot be loaded fails its request with the reason, and no other", async () => {
  const dir = await Deno.makeTempDir({ prefix: "inferd-on-demand-" });
  try {
    const modelPath = `${dir}/embed.gguf`;
    await Deno.copyFile(new URL("../../models/inferd-tiny-embed.gguf", import.meta.url), modelPath);
    await using daemon = await DaemonUnderTest.start({ backends: [FIRST, { ...EMBED, modelPath }] });
    await daemon.daemon.ready;
    await Deno.remove(modelPath);
    using client = await daemon.surface("embed");
    await client.send({ input: ["hello"] });
    const { code, message }: Record<string, unknown> = await client.frame();
    assertEquals(code, "backend_unavailable");
    assertStringIncludes(String(message), modelPath);
    using other = await daemon.infer();
    await other.send({ messages: [{ role: "user", content: "hi" }], max_tokens: 1 });
    for (;;) {
      const frame: Record<string, unknown> = await other.frame();
      assert(frame.type !== "error", JSON.stringify(frame));
      if (frame.type === "done") break;
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
