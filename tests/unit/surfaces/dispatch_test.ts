/** What dispatch does with requests, over pipelines that answer from the test. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type DispatchRequest, type DispatchResponse, MAX_DISPATCH_BYTES } from "@inferd/client/protocol";
import { InvalidRequestError } from "../../../src/inference/errors.ts";
import { RequestFailedError } from "../../../src/pipeline/errors.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { Dispatch, type DispatchService, readDispatchRequest } from "../../../src/surfaces/dispatch.ts";
import { CONTROLLED_CAPABILITIES } from "../../support/controlled_backend.ts";

const ID = "1-abc";

const FRAMES: Readonly<Record<DispatchService, Record<string, unknown>>> = {
  v1: {
    id: "",
    type: "done",
    content: "an answer",
    usage: { prompt_tokens: 1, completion_tokens: 2 },
    stop_reason: "end",
    backend: "one",
  },
  v2: { id: "", type: "count", input_tokens: 7, model: "m", backend: "one" },
  embed: {
    id: "",
    type: "embeddings",
    embeddings: [[1, 0], [0, 1]],
    dimensions: 2,
    model: "m",
    usage: { input_tokens: 3 },
    backend: "one",
  },
  rerank: {
    id: "",
    type: "rerank",
    results: [{ index: 1, score: 0.5 }, { index: 0, score: -2 }],
    model: "m",
    usage: { input_tokens: 4 },
    backend: "one",
  },
};

/** A dispatch over frames, and how often each pipeline was asked. */
class Scene {
  readonly asked: DispatchService[] = [];
  frames: Record<DispatchService, unknown> = { ...FRAMES };
  /** Absent: the frame is the answer. */
  configId: string | undefined = ID;
  ask: (() => Promise<unknown>) | undefined;
  readonly #dispatch = new Dispatch({
    namespace: () => "default",
    backends: () => [
      { name: "one", state: "ready", capabilities: CONTROLLED_CAPABILITIES },
      { name: "two", state: "loading", capabilities: undefined },
    ],
    pipelines: {
      v1: this.#pipeline("v1"),
      v2: this.#pipeline("v2"),
      embed: this.#pipeline("embed"),
      rerank: this.#pipeline("rerank"),
    },
    configId: () => this.configId,
    state: () => "ready",
    queue: () => ({ active: 1, waiting: 2, depth: 10 }),
    capabilities: () => [{ backend: "one", v2: false }],
    modelSha256: (name) => name === "one" ? "00ff" : undefined,
  });

  answer(ops: string, fields: Partial<DispatchRequest> = {}, signal?: AbortSignal): Promise<DispatchResponse> {
    const request = { namespace: "default", presentation: null, presentation_per_op: null, config_id: ID, ...fields };
    return this.#dispatch.answer({ ...request, ops }, { signal: signal ?? new AbortController().signal, name: "test" });
  }

  /** What the calls came to. */
  async results(ops: string, fields: Partial<DispatchRequest> = {}): Promise<unknown[]> {
    const { result, ...rest } = await this.answer(ops, fields);
    assertEquals(rest, {
      ok: true,
      error: null,
      namespace_mismatch: false,
      config_mismatch: false,
      served_config_id: ID,
    });
    return JSON.parse(result ?? "");
  }

  /** Why nothing was run. */
  async refusal(ops: string, fields: Partial<DispatchRequest> = {}): Promise<string> {
    const { error, ...rest } = await this.answer(ops, fields);
    assertEquals(rest, {
      ok: false,
      result: null,
      namespace_mismatch: false,
      config_mismatch: false,
      served_config_id: ID,
    });
    assertEquals(this.asked, []);
    return error ?? "";
  }

  #pipeline(service: DispatchService): Pick<Pipeline, "ask"> {
    return {
      ask: async <R>() => {
        this.asked.push(service);
        return await (this.ask?.() ?? this.frames[service]) as R;
      },
    };
  }
}

Deno.test("status, capabilities, models and config_id say what the daemon is", async () => {
  const status = {
    state: "ready",
    backends: [{ name: "one", state: "ready" }, { name: "two", state: "loading" }],
    queue: { active: 1, waiting: 2, depth: 10 },
  };
  assertEquals(await new Scene().results("status(); capabilities(); models(); config_id()"), [
    { ok: true, value: status },
    { ok: true, value: [{ backend: "one", v2: false }] },
    { ok: true, value: [{ name: "controlled", backend: "one", n_ctx: 512, sha256: "00ff" }] },
    { ok: true, value: ID },
  ]);
});

Deno.test("generate, embed and rerank come to what their frames hold", async () => {
  const ops = 'generate(prompt="a"); count(messages=[{"role":"user","content":"a"}]); embed(input=["a","b"]); ' +
    'rerank(query="q", documents=["a","b"])';
  const values = Object.values(FRAMES).map(({ id: _id, type: _type, ...value }) => ({ ok: true, value }));
  const scene = new Scene();
  assertEquals(await scene.results(ops), values);
  assertEquals(scene.asked, ["v1", "v2", "embed", "rerank"]);
});

Deno.test("presentation text is for a person, for all calls or for each", async () => {
  const scene = new Scene();
  const ops = 'status(); generate(prompt="a"); embed(input=["a"]); rerank(query="q", documents=["a\\tb","c\\nd"]);' +
    "models(); capabilities(); config_id()";
  const texts = [
    "ready; one ready, two loading; 1 active, 2 of 10 waiting",
    "an answer",
    "[[1,0],[0,1]]",
    "0.5\tc d\n-2\ta b",
    "controlled\tone\t512\t00ff",
    '{"backend":"one","v2":false}',
    ID,
  ].map((value) => ({ ok: true, value }));
  assertEquals(await scene.results(ops, { presentation: "text" }), texts);
  assertEquals(
    await scene.results('config_id(); generate(prompt="a"); generate(prompt="a")', {
      presentation: "text",
      presentation_per_op: [null, "json", "text"],
    }),
    [{ ok: true, value: ID }, (await scene.results('generate(prompt="a")'))[0], { ok: true, value: "an answer" }],
  );
});

Deno.test("a call that fails leaves the others alone", async () => {
  const scene = new Scene();
  scene.ask = () => Promise.reject(new RequestFailedError({ code: "queue_full", message: "The queue is full" }));
  assertEquals(await scene.results('generate(prompt="a"); config_id()', { presentation: "text" }), [
    { ok: false, error: "queue_full: The queue is full" },
    { ok: true, value: ID },
  ]);
});

Deno.test("results that do not fit into a frame are replaced by an error, one by one", async () => {
  const scene = new Scene();
  // Each quote takes two bytes in the result and four in the response.
  const sizes = [0, 2_089_000, ...Array<number>(253).fill(2000), 0];
  scene.ask = () => Promise.resolve({ ...FRAMES.v1, content: '"'.repeat(sizes.shift() ?? 0) });
  const ops = sizes.map(() => 'generate(prompt="a")').join(";");
  const response = await scene.answer(ops, { presentation: "text" });
  const results: { ok: boolean; value?: string; error?: string }[] = JSON.parse(response.result ?? "");
  assertEquals(results.map(({ ok }) => ok), [true, true, ...Array<boolean>(253).fill(false), true]);
  assertStringIncludes(results[2]?.error ?? "", "frame_too_large: ");
  const bytes = new TextEncoder().encode(JSON.stringify(response)).length;
  assert(bytes > MAX_DISPATCH_BYTES - 64 * 1024 && bytes <= MAX_DISPATCH_BYTES);
});

Deno.test("nothing runs for another namespace, whatever else is wrong", async () => {
  const scene = new Scene();
  for (const namespace of ["", "Default", "default ", "other"]) {
    assertEquals(await scene.answer("(", { namespace, config_id: "other" }), {
      ok: false,
      result: null,
      error: null,
      namespace_mismatch: true,
      config_mismatch: false,
      served_config_id: ID,
    });
  }
});

Deno.test("nothing runs for another config_id, none, or while it is not known", async () => {
  const mismatch = {
    ok: false,
    result: null,
    error: null,
    namespace_mismatch: false,
    config_mismatch: true,
    served_config_id: ID,
  };
  const scene = new Scene();
  for (const config_id of ["", "1-ABC", "1-abcd", "other"]) {
    assertEquals(await scene.answer('(; generate(prompt="a")', { config_id }), mismatch);
  }
  scene.configId = undefined;
  for (const config_id of ["", ID, "undefined", "null"]) {
    assertEquals(await scene.answer('generate(prompt="a")', { config_id }), { ...mismatch, served_config_id: null });
  }
  assertEquals(scene.asked, []);
});

const REFUSED: readonly (readonly [ops: string, why: string, fields?: Partial<DispatchRequest>])[] = [
  ["", "call 1 at character 1: a verb is expected"],
  ["nothing()", "call 1 (nothing) at character 1: there is no such verb"],
  ["Status()", "there is no such verb"],
  ["toString()", "there is no such verb"],
  ["status(); status(a=1)", 'call 2 (status) at character 11: there is no argument "a"; it takes none'],
  ['generate(prompt="a", stream=true)', 'there is no argument "stream"'],
  ['generate(prompt="a", id="a")', 'there is no argument "id"'],
  ['generate(prompt="a", __proto__={})', 'there is no argument "__proto__"'],
  ["generate()", 'either "prompt" or "messages" must be given'],
  ['generate(prompt="a", messages=[])', 'either "prompt" or "messages"'],
  ["generate(prompt=1)", '"prompt" must be a string, got 1'],
  ["generate(prompt=null)", '"prompt" must be a string, got null'],
  ['generate(prompt="a", system=[])', '"system" must be a string'],
  ['generate(messages=[{"role":"user","content":"a"}], system="a")', '"system" goes with "prompt" only'],
  ["generate(messages=[])", '"messages" must be a non-empty array'],
  ['generate(messages=[{"role":"me","content":"a"}])', '"messages[0].role"'],
  ['generate(prompt="a", max_tokens="20")', '"max_tokens" must be an integer of at least 1, got "20"'],
  ['generate(prompt="a", temperature=9)', '"temperature" must be'],
  ['status(); generate(prompt="a", temperature=9)', "call 2 (generate) at character 11"],
  ["embed()", 'the argument "input" is missing'],
  ["embed(input=3)", '"input" must be'],
  ['embed(input=["a"], query="a")', 'there is no argument "query"'],
  ['rerank(query="a")', 'the argument "documents" is missing'],
  ['rerank(documents=["a"])', 'the argument "query" is missing'],
  ['rerank(query="a", documents="a")', '"documents" must be'],
  ['generate(prompt="a"); oops', "call 2 at character 27"],
  ["status()", '"presentation" must be "json" or "text", got "xml"', { presentation: "xml" }],
  ["status()", '"presentation_per_op[0]" must be "json" or "text", got ""', { presentation_per_op: [""] }],
  ["status()", "one entry for each of the 1 calls, got 0", { presentation_per_op: [] }],
  ["status()", "one entry for each of the 1 calls, got 2", { presentation_per_op: [null, null] }],
];

for (const [ops, why, fields = {}] of REFUSED) {
  Deno.test(`nothing runs when a request says ${ops} ${JSON.stringify(fields)}`, async () => {
    assertStringIncludes(await new Scene().refusal(`${ops}`, fields), why);
  });
}

Deno.test("nothing of a request runs when its last call is wrong", async () => {
  const scene = new Scene();
  assertStringIncludes(await scene.refusal('generate(prompt="a"); generate(prompt=1)'), "call 2 (generate)");
});

Deno.test("nobody is answered when the caller is gone", async () => {
  const scene = new Scene();
  const gone = new Error("Gone");
  const controller = new AbortController();
  scene.ask = () => {
    controller.abort(gone);
    return Promise.reject(gone);
  };
  await assertRejects(() => scene.answer('generate(prompt="a"); status()', {}, controller.signal), Error, "Gone");
  assertEquals(scene.asked, ["v1"]);
});

Deno.test("a dispatch request is read with what may be left out", () => {
  assertEquals(readDispatchRequest({ ops: "a", namespace: "b", more: 1 }), {
    ops: "a",
    namespace: "b",
    presentation: null,
    presentation_per_op: null,
    config_id: "",
  });
  const full = { ops: "a", namespace: "b", presentation: "x", presentation_per_op: ["y", null], config_id: "c" };
  assertEquals(readDispatchRequest(full), full);
});

Deno.test("a dispatch request with a field of the wrong type is none", () => {
  const good = { ops: "a", namespace: "b" };
  const bad: unknown[] = [null, [], "x", 1, {}, { ops: "a" }, { namespace: "b" }];
  for (const value of [null, 1, [], {}, true]) {
    bad.push({ ...good, ops: value }, { ...good, namespace: value }, { ...good, config_id: value });
  }
  for (const value of [1, [], {}, true]) bad.push({ ...good, presentation: value });
  for (const value of ["text", 1, {}, [1], [[]], ["text", true]]) bad.push({ ...good, presentation_per_op: value });
  for (const value of bad) assertThrows(() => readDispatchRequest(value), InvalidRequestError);
});

Deno.test("tokenize, detokenize, count and apply_template come to what their frames hold", async () => {
  const scene = new Scene();
  const frames = [
    { id: "", type: "tokenize", tokens: [1, 2], model: "m", backend: "one" },
    { id: "", type: "detokenize", text: "ab", model: "m", backend: "one" },
    { id: "", type: "count", input_tokens: 7, model: "m", backend: "one" },
    { id: "", type: "apply_template", text: "p", model: "m", backend: "one" },
  ];
  const messages = 'messages=[{"role":"user","content":"hi"}]';
  const calls = ['tokenize(text="a")', "detokenize(tokens=[1])", `count(${messages})`, `apply_template(${messages})`];
  for (const [index, call] of calls.entries()) {
    const { id: _, type: __, ...value } = frames[index] as Record<string, unknown>;
    scene.frames.v2 = frames[index];
    assertEquals(await scene.results(call), [{ ok: true, value }]);
    const text = ["[1,2]", "ab", "7", "p"][index];
    assertEquals(await scene.results(call, { presentation: "text" }), [{ ok: true, value: text }]);
  }
  const { error } = await scene.answer("tokenize()");
  assertStringIncludes(error ?? "", 'the argument "text" is missing');
});
