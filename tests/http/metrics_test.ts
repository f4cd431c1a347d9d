/** `/metrics`: what is counted, and that the dashboard draws names that there are. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import dashboard from "../../docs/grafana.json" with { type: "json" };
import { admin, type Capabilities } from "@inferd/client";
import { Metrics } from "../../src/http/metrics.ts";
import { BridgeUnderTest } from "../support/bridges.ts";

const MESSAGES = [{ role: "user", content: "hi there" }];

/** The value of a sample, by its name and labels. */
function sample(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = text.split("\n").find((line) =>
    line.startsWith(name) && /[{ ]/.test(line[name.length] ?? "") && wanted.every((label) => line.includes(label))
  );
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

Deno.test("metrics: requests are counted by API, surface, model and outcome, with their tokens and times", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["a", "b", "c"] } });
  await bridge.post("/v1/chat/completions", { messages: MESSAGES });
  await bridge.post("/v1/messages", { model: "mock", max_tokens: 5, messages: MESSAGES });
  await bridge.post("/api/embed", { model: "mock", input: "hi" });
  await bridge.post("/v1/chat/completions", { messages: [{ role: "tool", content: "x", tool_call_id: "none" }] });
  const { text, headers } = await bridge.get("/metrics");
  assertMatch(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const openai = { api: "openai", surface: "v2", model: "mock" };
  assertEquals(sample(text, "inferd_http_requests_total", { ...openai, outcome: "ok" }), 1);
  assertEquals(sample(text, "inferd_http_requests_total", { ...openai, outcome: "invalid_request" }), 1);
  assertEquals(sample(text, "inferd_http_requests_total", { api: "anthropic", outcome: "ok" }), 1);
  assertEquals(sample(text, "inferd_http_requests_total", { api: "ollama", surface: "embed" }), 1);
  assertEquals(sample(text, "inferd_http_prompt_tokens_total", openai), 2);
  assertEquals(sample(text, "inferd_http_completion_tokens_total", openai), 3);
  for (const name of ["first_token_seconds", "queue_seconds", "prompt_seconds", "tokens_per_second"]) {
    assertEquals(sample(text, `inferd_http_${name}_count`, openai), 1, name);
  }
  assertEquals(sample(text, "inferd_http_active_requests", openai), 0);
  assertEquals(sample(text, "inferd_up"), 1);
  assertEquals(sample(text, "inferd_backend_state", { backend: "mock", state: "ready" }), 1);
  assertEquals(sample(text, "inferd_backend_breaker_open", { backend: "mock" }), 0);
  assert((sample(text, "inferd_http_memory_bytes") ?? 0) > 1e6);
});

Deno.test("metrics: a backend's breaker and memory are the daemon's", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { tokens: ["a"] } });
  const snapshot = await admin({ path: bridge.daemon.options.adminSocket }).snapshot();
  const known = { ...snapshot.capabilities[0], backend: "far", breaker: "open", memoryBytes: 3e9 } as Capabilities;
  const text = await new Metrics({ restarts: 0 }).text({ ...snapshot, capabilities: [known] });
  assertEquals(sample(text, "inferd_backend_breaker_open", { backend: "far" }), 1);
  assertEquals(sample(text, "inferd_backend_memory_bytes", { backend: "far" }), 3e9);
});

Deno.test("metrics: tokens are counted that were not computed one by one", async () => {
  const metrics = new Metrics({ restarts: 0 });
  const kind = { api: "openai", surface: "v2", model: "m" } as const;
  const counts = { forcedTokens: 4, preparedTokens: 5, draftedTokens: 6, acceptedTokens: 3 };
  for (const usage of [counts, {}, counts]) {
    using record = metrics.begin(kind);
    record.done({ usage: { promptTokens: 9, completionTokens: 8, ...usage } });
  }
  const text = await metrics.text(undefined);
  const values = ["forced", "prepared", "drafted", "accepted"].map((name) =>
    sample(text, `inferd_http_${name}_tokens_total`, kind)
  );
  assertEquals(values, [8, 10, 12, 6]);
});

Deno.test("metrics: a client that leaves is counted as cancelled, and what runs as active", async () => {
  await using bridge = await BridgeUnderTest.start({ script: { hangAt: 0 } });
  const { log } = bridge.daemon;
  const [accepted, cancelled] = [log.next("request_accepted"), log.next("request_cancelled")];
  const leave = new AbortController();
  const running = fetch(`${bridge.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: MESSAGES, stream: true }),
    signal: leave.signal,
  }).catch(() => {});
  await accepted;
  const during = (await bridge.get("/metrics")).text;
  assertEquals(sample(during, "inferd_http_active_requests", { api: "openai" }), 1);
  assertEquals(sample(during, "inferd_queue_active"), 1);
  leave.abort();
  await cancelled;
  await running;
  const after = (await bridge.get("/metrics")).text;
  assertEquals(sample(after, "inferd_http_requests_total", { outcome: "cancelled" }), 1);
  assertEquals(sample(after, "inferd_http_active_requests", { api: "openai" }), 0);
});

Deno.test("metrics: they are told without a daemon, too", async () => {
  await using bridge = await BridgeUnderTest.start();
  await bridge.daemon.daemon.drain();
  const { status, text } = await bridge.get("/metrics");
  assertEquals([status, sample(text, "inferd_up")], [200, 0]);
});

Deno.test("metrics: nothing of a request is among them", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { aliases: { "gpt-4o-mini": "mock" } } });
  await bridge.post("/v1/chat/completions", {
    model: "gpt-4o-mini",
    messages: [{ role: "user", content: "a-secret" }],
  });
  await bridge.post("/v1/chat/completions", { model: "a-secret", messages: MESSAGES });
  const { text } = await bridge.get("/metrics");
  assertStringIncludes(text, 'model="mock"');
  // Names that clients make up would be series without end.
  assertEquals(text.includes("a-secret"), false);
});

Deno.test("metrics: the dashboard draws only names that there are, and all of them", async () => {
  await using bridge = await BridgeUnderTest.start();
  await bridge.post("/v1/chat/completions", { messages: MESSAGES });
  const { text } = await bridge.get("/metrics");
  // llama-server's are for the tools that know those.
  const told = new Set([...text.matchAll(/^# TYPE (inferd_\S+)/gm)].map(([, name]) => name));
  const exprs = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join("\n");
  const drawn = new Set([...exprs.matchAll(/\binferd_\w+/g)].map(([name]) => name.replace(/_bucket$/, "")));
  assertEquals([...drawn].filter((name) => !told.has(name)), []);
  // What a dashboard has no use for.
  const other = ["inferd_http_start_time_seconds", "inferd_backend_context_tokens"];
  assertEquals([...told].filter((name) => name !== undefined && !drawn.has(name)).sort(), other.sort());
});
