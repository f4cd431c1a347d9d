/** What must not be written down: what was asked, what was answered, and the key. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  AttachmentUnsupportedError,
  BackendUnavailableError,
  InvalidRequestError,
} from "../../src/inference/errors.ts";
import { PLAIN } from "../../src/inference/request.ts";
import { LlamaBackend } from "../../src/backend/llama/llama.ts";
import { BUILT_IN_MODEL } from "../../src/config/options.ts";
import { builtInModelFile } from "../../src/models/built_in.ts";
import { ControlledBackend } from "../support/controlled_backend.ts";
import { dispatch, frame, request as dispatchRequest, response } from "../support/dispatch_wire.ts";
import { fakeEngineCommand } from "../support/fake_engine.ts";
import { type FileRecord, recordsIn, untilLogged } from "../support/log_file.ts";
import { Notices } from "../support/notices.ts";
import { type Asked, chunk, OpenAiServer, words } from "../support/openai_server.ts";
import { type Program, Sandbox } from "../support/program.ts";
import { ask, Serving } from "../support/serving.ts";
import { WireClient } from "../support/wire_client.ts";

const CANARY = "canary-4711";

Deno.test("no record has anything of a request or an answer but the id, however they end", async () => {
  const backend = new ControlledBackend();
  await using serving = await Serving.start({ backends: [backend], tcp: { apiKey: CANARY } });
  {
    using client = await serving.connect();
    const wrong: unknown[] = [
      CANARY,
      [CANARY],
      { messages: CANARY },
      { messages: [CANARY] },
      { messages: [{ role: CANARY, content: CANARY }] },
      ask({ temperature: CANARY }),
      ask({ stop: CANARY }),
      ask({ grammar: { [CANARY]: CANARY } }),
      ask({ seed: CANARY }),
    ];
    for (const value of wrong) {
      await client.send(value);
      assertEquals((await client.frame()).code, "invalid_request");
    }
    const request = {
      id: "r",
      messages: [{ role: "user", content: CANARY }],
      stop: [CANARY],
      grammar: CANARY,
      [CANARY]: CANARY,
    };
    await client.send(request);
    const done = await backend.next();
    done.say(CANARY);
    done.finish();
    await client.answer();
    await client.send(request);
    (await backend.next()).fail(new InvalidRequestError(`The grammar does not parse: ${CANARY}`));
    assertEquals((await client.frame()).code, "invalid_request");
    await client.send(request);
    (await backend.next()).fail(new BackendUnavailableError("The engine has died"));
    assertEquals((await client.frame()).code, "backend_unavailable");
    await client.send(request);
    (await backend.next()).fail(new AttachmentUnsupportedError(`The model takes no "audio/${CANARY}"`));
    assertEquals((await client.frame()).code, "attachment_unsupported");
    await client.send(request);
    const cancelled = await backend.next();
    cancelled.say(CANARY);
    await client.frame();
    client.close();
    await serving.log.next("request_cancelled");
  }
  for (const tail of [[0x0a], [0x22, 0x0a], [0xff, 0x0a]]) {
    using client = await serving.connect();
    await client.write(CANARY);
    await client.write(new Uint8Array(tail));
    await client.rest();
  }
  for (const key of [CANARY, `${CANARY}x`]) {
    using client = await serving.connectTcp();
    await client.send({ type: "auth", key });
    await client.end();
    await client.rest();
  }
  const records = serving.log.records.map((record) => JSON.stringify(record));
  assert(records.length > 20, "the log has seen it all");
  assertEquals(records.filter((record) => record.includes(CANARY)), []);
});

Deno.test("nothing an engine said is told when it is no message", async () => {
  const backend = new LlamaBackend(
    {
      kind: "llamacpp",
      name: "fake",
      modelName: BUILT_IN_MODEL,
      modelPath: builtInModelFile({ cacheDir: "" }),
      parallel: 1,
    },
    { command: fakeEngineCommand(), backoffMs: { first: 1, most: 1 } },
  );
  await using _ = backend;
  const notices = new Notices();
  await backend.start(notices.notify, new AbortController().signal);
  const ready = notices.next("ready");
  const asked = {
    ...PLAIN,
    messages: [{ role: "user", content: JSON.stringify({ then: "nonsense" }) }],
    sampling: { temperature: 0, topP: 1, topK: 0 },
    maxTokens: 10,
    stop: [],
  } as const;
  try {
    for await (const _event of backend.generate(asked, new AbortController().signal)) { /* There is none. */ }
  } catch (error) {
    assert(error instanceof BackendUnavailableError);
  }
  await ready;
  assertEquals(JSON.stringify(notices.all).includes("Segm"), false);
});

/** A daemon whose files and words are searched for canaries at its end. */
class Watched implements AsyncDisposable {
  readonly #box: Sandbox;
  readonly #daemon: Program;
  /** What the test itself wrote there. */
  readonly #config: string;

  private constructor(box: Sandbox, daemon: Program, config: string) {
    this.#box = box;
    this.#daemon = daemon;
    this.#config = config;
  }

  static async start(backends: readonly unknown[], flags: readonly string[] = []): Promise<Watched> {
    const box = new Sandbox();
    const config = `${box.dir}/config.json`;
    Deno.writeTextFileSync(config, JSON.stringify({ log_level: "debug", drain_timeout_secs: 0, backends }));
    const env = { REMOTE_KEY: CANARY, INFERD_API_KEY: `tcp-${CANARY}` };
    return new Watched(box, await box.serve(["--config", config, ...flags], { env }), config);
  }

  get rpc(): string {
    return `${this.#box.runtimeDir}/rpc.sock`;
  }

  connect(surface: "infer" | "infer.v2" | "infer.embed" | "infer.rerank" | "rpc"): Promise<WireClient> {
    return WireClient.connect(`${this.#box.runtimeDir}/${surface}.sock`);
  }

  /** Send requests on one connection; how each was answered. */
  async ask(surface: Parameters<Watched["connect"]>[0], ...requests: readonly unknown[]): Promise<unknown[]> {
    using client = await this.connect(surface);
    const ends: unknown[] = [];
    for (const request of requests) {
      await client.send(request);
      const { type, code } = JSON.parse((await client.answer()).at(-1) ?? "");
      ends.push(code ?? type);
    }
    return ends;
  }

  /** Begin a request, and go when something of its answer has come. */
  async leave(surface: Parameters<Watched["connect"]>[0], request: unknown): Promise<void> {
    using client = await this.connect(surface);
    await client.send(request);
    await client.line();
  }

  /** The address of TCP, which the daemon tells. */
  async port(): Promise<number> {
    const { address } = await this.logged("listening", { fits: ({ address }) => String(address).startsWith("127.") });
    return Number(String(address).split(":")[1]);
  }

  /** Resolves with a record of an event, once there is one. */
  logged(msg: string, options?: Parameters<typeof untilLogged>[2]): Promise<FileRecord> {
    return untilLogged(`${this.#box.dir}/logs/inferd.ndjson`, msg, options);
  }

  /** End the daemon and look for words that should not be there. */
  async search(...forbidden: readonly string[]): Promise<void> {
    this.#daemon.kill("SIGTERM");
    const { code, stdout, stderr } = await this.#daemon.outcome;
    assertEquals(code, 0, stderr);
    const texts = new Map([["stdout", stdout], ["stderr", stderr]]);
    for (const path of filesBelow(this.#box.dir)) {
      if (path !== this.#config) texts.set(path, new TextDecoder().decode(Deno.readFileSync(path)));
    }
    assert(texts.has(`${this.#box.dir}/logs/inferd.ndjson`), [...texts.keys()].join());
    for (const [path, text] of texts) {
      for (const word of forbidden) {
        const line = text.split("\n").find((line) => line.includes(word));
        assertEquals(line, undefined, `${path} has ${JSON.stringify(word)}`);
      }
    }
    recordsIn(`${this.#box.dir}/logs/inferd.ndjson`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    await this.#box[Symbol.asyncDispose]();
  }
}

function* filesBelow(dir: string): Generator<string> {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(dir)) {
    if (isDirectory) yield* filesBelow(`${dir}/${name}`);
    else if (isFile) yield `${dir}/${name}`;
  }
}

const TEXT = { type: "text", text: `${CANARY} says` };
const TOOL = {
  name: `t_${CANARY}`,
  description: CANARY,
  input_schema: { type: "object", description: CANARY, properties: { [CANARY]: { type: "string" } } },
};
const CALL = { type: "tool_use", tool_call_id: CANARY, name: TOOL.name, input: { [CANARY]: CANARY } };
const RESULT = { type: "tool_result", tool_call_id: CANARY, content: [TEXT] };
const THOUGHT = { type: "thinking", text: CANARY };
const SCHEMA = { type: "object", properties: { [CANARY]: { const: CANARY } }, required: [CANARY] };
const V1 = { messages: [{ role: "system", content: CANARY }, { role: "user", content: `${CANARY} tell me` }] };
const V2 = { system: CANARY, messages: [{ role: "user", content: [TEXT] }] };

function media(kind: string, mime: string): Record<string, unknown> {
  return {
    messages: [{ role: "user", content: [TEXT, { type: kind, attachment_id: CANARY }] }],
    attachments: [{ id: CANARY, kind, mime, bytes: "AAAA" }],
  };
}

/** What a client may ask of generation v2. */
const GOOD: readonly Record<string, unknown>[] = [
  V2,
  { ...V2, thinking: true, stream: false },
  { ...V2, tools: [TOOL], tool_choice: "required" },
  { ...V2, tools: [TOOL], tool_choice: { name: TOOL.name } },
  {
    ...V2,
    tools: [TOOL],
    messages: [
      ...V2.messages,
      { role: "assistant", content: [THOUGHT, TEXT, CALL] },
      { role: "user", content: [RESULT] },
    ],
  },
  { ...V2, response_format: { type: "json_schema", schema: SCHEMA } },
];

/** The same, and more, broken in every way that a message names. */
const BAD: readonly unknown[] = [
  CANARY,
  { [CANARY]: CANARY },
  { ...V2, id: { [CANARY]: CANARY } },
  { ...V2, messages: [{ role: CANARY, content: [TEXT] }] },
  { ...V2, messages: [{ role: "user", content: [{ type: CANARY, text: CANARY }] }] },
  { ...V2, messages: [{ role: "user", content: [{ type: "text", text: [CANARY] }] }] },
  { ...V2, messages: [{ role: "user", content: [RESULT] }] },
  { ...V2, messages: [{ role: "user", content: [{ type: "image", attachment_id: CANARY }] }] },
  { ...V2, tools: [TOOL, TOOL] },
  { ...V2, tools: [{ ...TOOL, name: `${CANARY} ${CANARY}` }] },
  { ...V2, tools: [{ ...TOOL, input_schema: { type: "object", properties: { [CANARY]: { type: CANARY } } } }] },
  { ...V2, tools: [{ ...TOOL, name: `${CANARY}`.repeat(20) }] },
  { ...V2, tool_choice: CANARY },
  { ...V2, tools: [TOOL], tool_choice: { name: CANARY } },
  { ...V2, messages: [{ role: "user", content: [THOUGHT] }] },
  { ...V2, messages: [{ role: "assistant", content: [CALL] }] },
  { ...V2, thinking: CANARY },
  { ...V2, temperature: CANARY, stop: CANARY },
  { ...V2, response_format: { type: CANARY } },
  { ...V2, response_format: { type: "json_schema", schema: { pattern: `(${CANARY}`, $ref: CANARY } } },
  { ...V2, attachments: [{ id: CANARY, kind: CANARY, mime: CANARY, bytes: CANARY }] },
  { ...V2, attachments: [{ id: CANARY, kind: "image", mime: `text/${CANARY}`, bytes: "AAAA" }] },
  { ...V2, attachments: [{ id: CANARY, kind: "image", mime: "image/png", bytes: CANARY }] },
];

/** Lines that are no requests. */
async function sendNonsense(daemon: Watched): Promise<void> {
  for (const surface of ["infer", "infer.v2", "infer.embed", "infer.rerank"] as const) {
    for (const tail of [[0x0a], [0x22, 0x0a], [0xff, 0x0a], []]) {
      using client = await daemon.connect(surface);
      await client.write(`{"messages":"${CANARY}`);
      await client.write(new Uint8Array(tail));
      await client.end();
      await client.rest();
    }
  }
  for (const body of [CANARY, `{"ops":"${CANARY}"}`, `{"ops":"${CANARY}`]) {
    using client = await daemon.connect("rpc");
    await client.write(frame(body));
    await client.end();
    await client.rest();
  }
}

Deno.test("no file and no word of a daemon holds what was asked or answered when a mock serves every surface", async () => {
  const script = {
    tokens: [CANARY, ` ${CANARY}`],
    thinking: [CANARY],
    calls: [{ name: TOOL.name, input: { [CANARY]: CANARY } }],
    delayMs: 1,
  };
  await using daemon = await Watched.start([{ kind: "mock", name: "mock", script }], ["--tcp", "127.0.0.1:0"]);
  assertEquals(await daemon.ask("infer", V1, { ...V1, stream: false }), ["done", "done"]);
  const wrong = [CANARY, { messages: CANARY }, { ...V1, stop: CANARY }, { ...V1, seed: CANARY }, { ...V1, grammar: 1 }];
  assertEquals(await daemon.ask("infer", ...wrong), wrong.map(() => "invalid_request"));
  assertEquals(await daemon.ask("infer.v2", ...GOOD), GOOD.map(() => "done"));
  assertEquals(await daemon.ask("infer.v2", ...BAD), BAD.map(() => "invalid_request"));
  assertEquals(await daemon.ask("infer.v2", media("image", "image/png")), ["attachment_unsupported"]);
  assertEquals(
    await daemon.ask("infer.embed", { input: [CANARY] }, { input: CANARY }, { input: [CANARY], task: CANARY }),
    ["embeddings", "invalid_request", "invalid_request"],
  );
  assertEquals(
    await daemon.ask("infer.rerank", { query: CANARY, documents: [CANARY] }, { query: [CANARY], documents: CANARY }),
    ["rerank", "invalid_request"],
  );
  await sendNonsense(daemon);
  // A busy machine may come to the end of so short an answer before it sees that its reader has gone.
  const between = async (): Promise<void> => {
    await daemon.leave("infer", { ...V1, id: "leaves" });
    await daemon.leave("infer.v2", { ...V2, id: "leaves" });
  };
  await daemon.logged("request_cancelled", { between });

  const { served_config_id: config_id } = await dispatch(daemon.rpc, dispatchRequest(CANARY));
  assert(config_id !== null);
  for (
    const ops of [
      `generate(prompt="${CANARY}"); embed(input=["${CANARY}"]); rerank(query="${CANARY}", documents=["${CANARY}"])`,
      `generate(prompt="${CANARY}", seed="${CANARY}")`,
      `${CANARY.replace("-", "_")}()`,
      `status("${CANARY}"`,
    ]
  ) {
    await dispatch(daemon.rpc, dispatchRequest(ops, { config_id, presentation: "text" }));
    await dispatch(daemon.rpc, dispatchRequest(ops, { config_id, presentation: CANARY }));
  }
  {
    using client = await daemon.connect("rpc");
    await client.write(frame(JSON.stringify(dispatchRequest(`generate(prompt="${CANARY}")`, { namespace: CANARY }))));
    assertEquals((await response(client)).namespace_mismatch, true);
  }
  for (const key of [CANARY, `tcp-${CANARY}`]) {
    using client = await WireClient.connect(await daemon.port());
    await client.send({ type: "auth", key });
    await client.send({ ...V1, stream: false });
    await client.end();
    await client.rest();
  }
  await daemon.logged("tcp_auth_rejected");
  await daemon.search(CANARY, CANARY.replace("-", "_"));
});

Deno.test("no file and no word of a daemon holds what was asked or answered when an engine serves", async () => {
  await using daemon = await Watched.start([{ kind: "llamacpp", name: "local", model: { name: "inferd-tiny" } }]);
  const story = `${CANARY} Tell me a story about a fox.`;
  const greedy = { messages: [{ role: "user", content: story }], temperature: 0, max_tokens: 60 };
  let answer = "";
  {
    using client = await daemon.connect("infer");
    await client.send({ ...greedy, stream: false });
    answer = String((await client.frame()).content);
  }
  assert(answer.length > 20, answer);
  assertEquals(
    await daemon.ask("infer", { ...V1, grammar: `root ::= "${CANARY}"` }, { ...V1, grammar: `root ::= ${CANARY} (` }, {
      messages: [{ role: "user", content: `${CANARY} `.repeat(20_000) }],
    }),
    ["done", "invalid_request", "invalid_request"],
  );
  const ends = await daemon.ask("infer.v2", ...GOOD.map((request) => ({ ...request, max_tokens: 30 })));
  assertEquals(ends.filter((end) => !["done", "tool_call_malformed"].includes(String(end))), []);
  assertEquals(await daemon.ask("infer.v2", ...BAD), BAD.map(() => "invalid_request"));
  assertEquals(await daemon.ask("infer.v2", media("audio", "audio/wav")), ["attachment_unsupported"]);
  await sendNonsense(daemon).catch((error: unknown) => {
    // It does not embed.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const endless = { ...greedy, grammar: "root ::= [a-z ] root", max_tokens: 100_000 };
  await daemon.leave("infer", { ...endless, id: "leaves" });
  await daemon.logged("request_cancelled");
  {
    // The engine is killed in the middle of an answer.
    using client = await daemon.connect("infer");
    await client.send(endless);
    await client.line();
    const { pid } = await daemon.logged("engine_started");
    Deno.kill(Number(pid), "SIGKILL");
    assertStringIncludes((await client.answer()).at(-1) ?? "", "backend_unavailable");
  }
  await daemon.logged("engine_exited");
  await daemon.search(
    CANARY,
    ...answer.split(/[.,!?"\n]/).map((part) => part.trim()).filter(({ length }) => length > 8),
  );
});

/** What a server may do with a request that holds the canary; all of it is repeated wherever there is room for it. */
const UPSTREAM: readonly (readonly [(asked: Asked) => Promise<void> | void, end: string])[] = [
  [(asked) => asked.stream(...words(CANARY, CANARY)), "done"],
  ...[400, 413, 422].map((status) =>
    [
      (asked: Asked) => asked.json(status, { error: { message: JSON.stringify(asked.body), code: CANARY } }),
      "invalid_request",
    ] as const
  ),
  ...[301, 401, 403, 404, 429, 500, 503].map((status) =>
    [
      (asked: Asked) =>
        asked.json(status, {
          error: { message: JSON.stringify(asked.body), code: `${CANARY} ${CANARY}`, type: CANARY },
        }),
      "backend_unavailable",
    ] as const
  ),
  [
    (asked) => asked.json(500, `<html>${JSON.stringify(asked.body)} ${asked.headers.get("authorization")}`),
    "backend_unavailable",
  ],
  [(asked) => asked.json(200, CANARY), "backend_unavailable"],
  [(asked) => asked.json(200, { choices: CANARY }), "backend_unavailable"],
  [(asked) => asked.stream(chunk({ content: CANARY }), `{"${CANARY}`), "backend_unavailable"],
  [(asked) => asked.stream(chunk({ content: CANARY }), { error: { message: CANARY } }), "backend_unavailable"],
  [(asked) => asked.stream(chunk({ content: CANARY })), "backend_unavailable"],
  [async (asked) => {
    await asked.head();
    await asked.say(chunk({ content: CANARY }));
    asked.cut();
  }, "backend_unavailable"],
  [(asked) => {
    asked.cut();
  }, "backend_unavailable"],
  ...[[CANARY, "{}"], [TOOL.name, `{"${CANARY}`]].map(([name, written]) =>
    [
      (asked: Asked) =>
        asked.stream(
          chunk({ tool_calls: [{ index: 0, function: { name, arguments: written } }] }),
          chunk({}, "tool_calls"),
          "[DONE]",
        ),
      "tool_call_malformed",
    ] as const
  ),
];

Deno.test("no file and no word of a daemon holds what was asked or answered when a server elsewhere repeats it", async () => {
  await using server = new OpenAiServer(async (asked) => {
    const at = Number(/case (\d+)/.exec(JSON.stringify(asked.body))?.[1]);
    const answer = UPSTREAM[at]?.[0];
    if (answer !== undefined) return await answer(asked);
    await asked.head();
    await asked.say(chunk({ content: CANARY }));
  });
  // Breakers open one after the other.
  const backends = Array.from({ length: 8 }, (_, index) => ({
    kind: "openai-compat",
    name: `remote${index}`,
    base_url: server.url,
    model: "m",
    api_key_env: "REMOTE_KEY",
  }));
  await using daemon = await Watched.start(backends);
  const request = (at: number): Record<string, unknown> => ({
    ...V2,
    messages: [{ role: "user", content: [TEXT, { type: "text", text: `case ${at}` }] }],
    tools: [TOOL],
  });
  const ends = await daemon.ask("infer.v2", ...UPSTREAM.map((_, at) => request(at)));
  assertEquals(ends, UPSTREAM.map(([, end]) => end));
  assertEquals(await daemon.ask("infer.v2", media("audio", `audio/${CANARY}`)), ["attachment_unsupported"]);
  await daemon.logged("remote_broken");
  // Still answered when the daemon ends.
  using client = await daemon.connect("infer.v2");
  await client.send(request(UPSTREAM.length));
  await client.line();
  await daemon.search(CANARY);
  assertStringIncludes((await client.answer()).at(-1) ?? "", "shutting down");
});
