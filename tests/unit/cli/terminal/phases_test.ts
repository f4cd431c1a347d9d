import { assertEquals } from "@std/assert";
import { showPhases } from "../../../../src/cli/terminal/phases.ts";

Deno.test("showPhases shows how far weights are loaded, and says only once that they are, also when it comes later", () => {
  for (const path of ["/models/a.gguf", undefined]) {
    const said: unknown[] = [];
    const show = showPhases({
      step: (text) => said.push(text),
      at: (share, notes) => said.push([share, notes]),
      note: () => {},
      clear: () => {},
    });
    if (path !== undefined) show({ phase: "mmap", path });
    for (const progress of [0.434, 1]) show({ phase: "mmap", path: "/models/a.gguf", progress });
    show({ phase: "kv_cache", n_ctx: 512 });
    assertEquals(said, [
      "Loading weights of a.gguf",
      [0.434, "43 %"],
      [1, "100 %"],
      "Preparing a context of 512 tokens",
    ]);
  }
});
