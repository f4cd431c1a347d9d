/** `model` in a request: only the backends that it names answer. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { SurfaceName } from "../../src/config/options.ts";
import { DaemonUnderTest } from "../support/daemons.ts";

const ASK: Readonly<Partial<Record<SurfaceName, Record<string, unknown>>>> = {
  v2: { messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }] },
  embed: { input: ["hi"] },
  rerank: { query: "hi", documents: ["hi", "there"] },
};

async function twoMocks(): Promise<DaemonUnderTest> {
  const mock = { kind: "mock", script: {} } as const;
  const daemon = await DaemonUnderTest.start({ backends: [{ ...mock, name: "first" }, { ...mock, name: "second" }] });
  await daemon.daemon.ready;
  return daemon;
}

/** The last frame of the answer. */
async function answer(daemon: DaemonUnderTest, surface: SurfaceName, model: unknown): Promise<Record<string, unknown>> {
  using client = await daemon.surface(surface);
  await client.send({ ...ASK[surface], model });
  for (;;) {
    const frame: Record<string, unknown> = await client.frame();
    if (frame.type !== "frame") return frame;
  }
}

for (const surface of ["v2", "embed", "rerank"] as const) {
  Deno.test(`${surface}: a request reaches the backend that its model names`, async () => {
    await using daemon = await twoMocks();
    for (const model of ["second", "first"]) {
      assertEquals((await answer(daemon, surface, model)).backend, model);
    }
    assertEquals((await answer(daemon, surface, undefined)).backend, "first");
  });

  Deno.test(`${surface}: an unknown model is refused with the names there are`, async () => {
    await using daemon = await twoMocks();
    const { code, message } = await answer(daemon, surface, "third");
    assertEquals(code, "invalid_request");
    assertStringIncludes(String(message), '"first"');
    assertStringIncludes(String(message), '"second"');
    assertStringIncludes(String(message), '"third"');
  });

  Deno.test(`${surface}: a model that is no name is refused`, async () => {
    await using daemon = await twoMocks();
    for (const model of ["", 1, null]) assertEquals((await answer(daemon, surface, model)).code, "invalid_request");
  });
}
