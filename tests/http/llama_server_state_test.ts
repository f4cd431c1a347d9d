/** What llama-server's clients ask a server about itself: properties, settings, models, metrics, and how it is written. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { BridgeUnderTest, BUILT_IN_BACKEND } from "../support/bridges.ts";
import { exchange } from "../support/raw_http.ts";

type Fields = Readonly<Record<string, unknown>>;

const MESSAGES = [{ role: "user", content: "hi there" }];

Deno.test("llama-server: settings of requests that do not say are the backend's own", async () => {
  const sampling = { temperature: 0.25, topK: 7, seed: 11, maxTokens: 3, stop: ["never"] };
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [{ ...BUILT_IN_BACKEND, sampling }] } });
  const shown = ({ temperature, top_k, top_p, seed, n_predict, stop }: Fields): Fields => (
    { temperature, top_k, top_p, seed, n_predict, stop }
  );
  const own = { temperature: 0.25, top_k: 7, top_p: 0.95, seed: 11, n_predict: 3, stop: ["never"] };
  const { json: { default_generation_settings: defaults } } = await bridge.get("/props");
  assertEquals(shown((defaults as { params: Fields }).params), own);
  const prompt = "Tell me a story about a fox.";
  const { json } = await bridge.post("/completion", { prompt });
  assertEquals([shown(json.generation_settings as Fields), json.stop_type], [own, "limit"]);
  assertEquals(json.tokens_predicted, 3);
  const { json: other } = await bridge.post("/completion", { prompt, n_predict: 2, seed: 5 });
  assertEquals(shown(other.generation_settings as Fields), { ...own, n_predict: 2, seed: 5 });
  // The operator's limit holds in every API where a request has none.
  const { json: chat } = await bridge.post("/v1/chat/completions", { messages: MESSAGES });
  assertEquals((chat.usage as Fields).completion_tokens, 3);
});

Deno.test("llama-server: settings name all that its typed clients expect, also of what is off", async () => {
  await using bridge = await BridgeUnderTest.start();
  const { json } = await bridge.post("/completion", { prompt: "hi", n_keep: 4 });
  const settings = json.generation_settings as Fields;
  assertEquals([settings.n_keep, settings.adaptive_decay, settings.dry_base, settings.lora], [4, 0.9, 1.75, []]);
});

Deno.test("llama-server: /props, /slots and /models tell the file's name, the version and the model's other names", async () => {
  const aliases = { "gpt-4o-mini": "inferd-tiny", "text-davinci": "llamacpp" };
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] }, http: { aliases } });
  const { json: props } = await bridge.get("/props");
  assertEquals([props.model_path, props.model_ftype, props.endpoint_slots], ["inferd-tiny.gguf", "F16", true]);
  assertMatch(String(props.build_info), /^b\d+\.\d+\.\d+\S*-inferd$/);
  const slots = JSON.parse((await bridge.get("/slots")).text) as Fields[];
  assertEquals(slots.map(({ speculative }) => speculative), [false, false, false, false]);
  const { json: { data } } = await bridge.get("/models");
  const names = (data as { id: string; aliases: string[]; tags: string[] }[]).map(({ id, aliases, tags }) =>
    [id, aliases.toSorted(), tags] as const
  );
  assertEquals(names, [
    ["inferd-tiny", ["gpt-4o-mini", "llamacpp", "text-davinci"], []],
    ["gpt-4o-mini", ["inferd-tiny", "llamacpp", "text-davinci"], []],
    ["text-davinci", ["gpt-4o-mini", "inferd-tiny", "llamacpp"], []],
  ]);
});

Deno.test("llama-server: a prompt that is too long has its type on the paths that only it has", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const messages = [{ role: "user", content: "word ".repeat(2000) }];
  for (
    const [path, type] of [
      ["/chat/completions", "exceed_context_size_error"],
      ["/v1/chat/completions", "invalid_request_error"],
      ["/openai/v1/chat/completions", "invalid_request_error"],
    ] as const
  ) {
    const { status, json } = await bridge.post(path, { messages });
    const error = json.error as Fields;
    assertEquals([status, error.type, error.code, error.n_ctx], [400, type, "context_length_exceeded", 1024], path);
  }
});

Deno.test("llama-server: its metrics count all requests together, next to this server's", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  let [processed, cached, predicted] = [0, 0, 0];
  for (const n_predict of [1, 6, 6]) {
    const { json } = await bridge.post("/completion", { prompt: "Tell me a story about a fox.", n_predict });
    const timings = json.timings as Record<string, number>;
    processed += timings.prompt_n ?? 0;
    cached += timings.cache_n ?? 0;
    predicted += timings.predicted_n ?? 0;
  }
  const { text, headers } = await bridge.get("/metrics");
  const told = Object.fromEntries(
    [...text.matchAll(/^llamacpp:(\w+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  const types = [...text.matchAll(/^# TYPE llamacpp:(\w+) (\w+)$/gm)].map(([, name, type]) => [name, type] as const);
  assertEquals(Object.keys(told), types.map(([name]) => name));
  assertEquals(types.filter(([, type]) => type === "gauge").map(([name]) => name), [
    "prompt_tokens_seconds",
    "predicted_tokens_seconds",
    "requests_processing",
    "requests_deferred",
  ]);
  assert(cached > 0);
  assertEquals(told.prompt_tokens_total, processed);
  assertEquals(told.prompt_tokens_cached_total, cached);
  assertEquals(told.tokens_predicted_total, predicted);
  assert((told.prompt_seconds_total ?? 0) > 0 && (told.tokens_predicted_seconds_total ?? 0) > 0);
  assert((told.prompt_tokens_seconds ?? 0) > 0 && (told.predicted_tokens_seconds ?? 0) > 0);
  const [first] = text.match(/inferd_http_start_time_seconds \d+/) ?? [];
  assertEquals(`inferd_http_start_time_seconds ${headers.get("process-start-time-unix")}`, first);
  // Speeds are those since the last look.
  assertMatch((await bridge.get("/metrics")).text, /^llamacpp:predicted_tokens_seconds 0$/m);
});

Deno.test("llama-server: header names are written as usual, for programs that compare them as they come", async () => {
  await using bridge = await BridgeUnderTest.start({ http: { origins: ["*"] } });
  const { head } = await exchange(bridge.url, { path: "/v1/models", headers: { Origin: "https://app.example" } });
  const names = head.split("\r\n").slice(1).map((line) => line.split(":")[0] ?? "");
  for (const name of ["Access-Control-Allow-Origin", "Content-Type", "X-Content-Type-Options", "Vary"]) {
    assert(names.includes(name), `${name} of ${names.join(", ")}`);
  }
});

Deno.test("llama-server: verbose answers of OpenAI's endpoints have its own form with the prompt, in __verbose", async () => {
  await using bridge = await BridgeUnderTest.start({ daemon: { backends: [BUILT_IN_BACKEND] } });
  const { json: { prompt } } = await bridge.post("/apply-template", { messages: MESSAGES });
  for (
    const [path, body, rendered] of [
      ["/v1/chat/completions", { messages: MESSAGES }, prompt],
      ["/v1/completions", { prompt: "Tell me a story." }, "Tell me a story."],
    ] as const
  ) {
    const asked = { ...body, max_tokens: 4, temperature: 0, logit_bias: { 5: 1 }, verbose: true };
    const { json } = await bridge.post(path, asked);
    const verbose = json.__verbose as Fields;
    const [choice] = json.choices as { text?: string; message?: { content: string } }[];
    assertEquals(verbose.content, choice?.text ?? choice?.message?.content);
    assertEquals([verbose.prompt, verbose.stop_type, verbose.tokens_predicted], [rendered, "limit", 4]);
    const { logit_bias, n_predict } = verbose.generation_settings as Fields;
    assertEquals([logit_bias, n_predict], [[{ token: 5, bias: 1 }], 4]);
    const { text } = await bridge.post(path, { ...asked, stream: true });
    const chunks = text.split("\n\n").filter((event) => event.startsWith("data: {"));
    const streamed = chunks.map((event) => JSON.parse(event.slice(6)) as Fields).filter((one) => "__verbose" in one);
    assertEquals(streamed.map((one) => (one.__verbose as Fields).content), [verbose.content]);
    assertEquals((await bridge.post(path, { ...asked, verbose: false })).json.__verbose, undefined);
  }
});
