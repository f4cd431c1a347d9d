/** OpenTelemetry, as Deno exports it: one span per request with its phases, in the caller's trace, without any text. */
import { assert, assertEquals } from "@std/assert";
import { OtlpReceiver } from "../support/otlp_receiver.ts";
import { HTTP_MAIN, Sandbox } from "../support/program.ts";

const ANY_PORT = "127.0.0.1:0";
const SECRET = "the-prompt-that-no-span-may-have";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers });
  await response.text();
  return response.status;
}

/** Run the bridge with exactly its permissions, traced, and end it: what is left is sent then. */
async function traced({ env }: Pick<OtlpReceiver, "env">, use: (url: string) => Promise<void>): Promise<void> {
  await using box = new Sandbox();
  await using _daemon = await box.serve(["--backend", "mock"]);
  const { stdout } = await box.run(["permissions", "http", "--http", ANY_PORT]);
  const permissions = stdout.trim().split(" ");
  await using bridge = box.spawn(["--http", ANY_PORT], { permissions, env, program: HTTP_MAIN });
  const [, url = ""] = await bridge.stderr.match(/Listening on (http:\/\/\S+)/);
  await use(url);
  bridge.kill("SIGTERM");
  assertEquals((await bridge.outcome).code, 0);
}

Deno.test("tracing: a request is one span with its phases in the trace of its traceparent", async () => {
  await using receiver = new OtlpReceiver();
  await traced(receiver, async (url) => {
    const body = { messages: [{ role: "user", content: SECRET }], stop: [`${SECRET}-stop`], max_tokens: 7, n: 2 };
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01` };
    assertEquals(await post(`${url}/v1/chat/completions`, { ...body, stream: true, temperature: 0.5 }, headers), 200);
  });
  const spans = receiver.named("chat mock");
  assertEquals(spans.length, 2, "one for each answer");
  for (const span of spans) {
    assertEquals(span.traceId, TRACE);
    assertEquals(span.parentSpanId, CALLER);
    assertEquals(span.events, ["first_token"]);
    const { attributes } = span;
    const told = Object.fromEntries(
      ["operation.name", "provider.name", "request.model", "request.max_tokens", "request.temperature"].map((
        name,
      ) => [name, attributes[`gen_ai.${name}`]]),
    );
    assertEquals(told, {
      "operation.name": "chat",
      "provider.name": "inferd",
      "request.model": "mock",
      "request.max_tokens": 7,
      "request.temperature": 0.5,
    });
    assertEquals([attributes["inferd.api"], attributes["inferd.outcome"]], ["openai", "ok"]);
    assertEquals(attributes["gen_ai.response.finish_reasons"], ["end_turn"]);
    assert(Number(attributes["gen_ai.usage.output_tokens"]) > 0);
    assert(Number(attributes["gen_ai.usage.input_tokens"]) > 0);
    for (const phase of ["queue", "prompt", "generation"]) {
      const own = receiver.named(phase).filter(({ parentSpanId }) => parentSpanId === span.spanId);
      assertEquals(own.map(({ traceId }) => traceId), [TRACE], phase);
      assert(own.every((one) => BigInt(one.startTimeUnixNano) <= BigInt(one.endTimeUnixNano)), phase);
      assert(own.every((one) => BigInt(one.startTimeUnixNano) >= BigInt(span.startTimeUnixNano)), phase);
    }
  }
  assert(receiver.bodies.length > 0);
  assertEquals(receiver.bodies.some((body) => body.includes(SECRET)), false);
});

Deno.test("tracing: other requests and failures have spans, each a trace of its own without a traceparent", async () => {
  await using receiver = new OtlpReceiver();
  await traced(receiver, async (url) => {
    assertEquals(await post(`${url}/api/embed`, { model: "mock", input: SECRET }), 200);
    const message = { role: "user", content: SECRET };
    const orphan = { role: "tool", content: SECRET, tool_call_id: "none" };
    assertEquals(await post(`${url}/v1/chat/completions`, { messages: [orphan] }), 400);
    assertEquals(await post(`${url}/v1/messages`, { model: "mock", max_tokens: 5, messages: [message] }), 200);
  });
  const [embeddings] = receiver.named("embeddings mock");
  assertEquals(embeddings?.attributes["inferd.api"], "ollama");
  const chats = receiver.named("chat mock").map(({ status, attributes }) => [
    attributes["inferd.api"],
    attributes["inferd.outcome"],
    attributes["error.type"],
    status,
  ]);
  assertEquals(chats, [["openai", "invalid_request", "invalid_request", 2], ["anthropic", "ok", undefined, 0]]);
  const traces = new Set(
    [...receiver.named("chat mock"), ...receiver.named("embeddings mock")].map((one) => one.traceId),
  );
  assertEquals(traces.size, 3);
  assertEquals(receiver.bodies.some((body) => body.includes(SECRET)), false);
});

Deno.test("tracing: nothing is sent unless it is asked for", async () => {
  await using receiver = new OtlpReceiver();
  const { OTEL_DENO: _, ...env } = receiver.env;
  await traced({ env }, async (url) => {
    assertEquals(await post(`${url}/v1/chat/completions`, { messages: [{ role: "user", content: SECRET }] }), 200);
  });
  assertEquals(receiver.bodies, []);
});
