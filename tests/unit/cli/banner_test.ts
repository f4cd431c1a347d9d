import { assertEquals, assertStringIncludes } from "@std/assert";
import { bannerOf } from "../../../src/cli/banner.ts";
import { setColorEnabled } from "@std/fmt/colors";

const LISTEN = {
  infer: { socket: "/run/inferd/infer.sock", tcp: { hostname: "127.0.0.1", port: 47321 } },
  v2: { socket: "/run/inferd/infer.v2.sock" },
  embed: { socket: "/other/e.sock" },
  rerank: { socket: "/run/inferd/infer.rerank.sock" },
};
const HTTP = { enabled: false, address: { hostname: "::1", port: 80 }, origins: [], aliases: {} };
const CHAT = {
  ...{ backend: "chat", v2: true, vision: false, audio: false, tools: true, thinking: true, embed: false },
  ...{ accelerator: "cuda", gpu_layers: 33, model: "some-model", n_ctx: 8192, parallel: 4, state: "ready" as const },
};
const VECTORS = {
  ...{ ...CHAT, backend: "vectors", v2: false, embed: true, accelerator: "cpu", n_ctx: 512, parallel: 2 },
  ...{ model: "some-embedder", state: "asleep" as const },
};

Deno.test("the banner says what is served, where, and what to try", () => {
  setColorEnabled(false);
  assertEquals(
    bannerOf({ listen: LISTEN, http: { ...HTTP, enabled: true } }, [CHAT, VECTORS]),
    `inferd is ready
  model    some-model (CUDA, context 8192 tokens, 4 parallel)
           some-embedder (CPU, context 512 tokens, 2 parallel, loaded when it is needed)
  listens  /run/inferd/infer.sock, infer.v2.sock
           /other/e.sock
           127.0.0.1:47321 (generation)
  http     http://[::1]:80
  try      inferd chat`,
  );
});

Deno.test("the banner leaves it to the bridge to say which port it has found", () => {
  setColorEnabled(false);
  const http = { ...HTTP, enabled: true, address: { hostname: "127.0.0.1", port: 0 } };
  assertStringIncludes(
    bannerOf({ listen: LISTEN, http }, [CHAT]),
    "http     a free port of 127.0.0.1, in a line of its own",
  );
});

Deno.test("the banner names no socket that nobody serves, and nothing to try that cannot be done", () => {
  setColorEnabled(false);
  const remote = { ...VECTORS, embed: false, rerank: true, accelerator: "none", n_ctx: 0, state: "ready" as const };
  assertEquals(
    bannerOf({ listen: LISTEN, http: HTTP }, [remote]),
    `inferd is ready
  model    some-embedder (2 parallel)
  listens  /run/inferd/infer.rerank.sock
  try      inferd rerank "a question" "a document" "another document"`,
  );
});
