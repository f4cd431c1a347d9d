import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { EncodeJobs, type EncodeModel } from "../../../../src/engine/encode/encode_jobs.ts";
import { type EncodeJob, EncodeScheduler, TextError } from "../../../../src/engine/encode/encode_scheduler.ts";
import { type Encoder, type Lane, normalizeInto } from "../../../../src/engine/encode/encoder.ts";
import type { EngineEvent } from "../../../../src/engine/ipc/messages.ts";
import { ModelError } from "../../../../src/engine/native/first_look.ts";
import { type PurposeModel, purposeOf } from "../../../../src/engine/encode/purpose.ts";
import { POOLING } from "../../../../src/engine/native/text_context.ts";
import { GivenUpError } from "../../../../src/engine/native/text_context.ts";
import { RerankPrompt } from "../../../../src/engine/encode/rerank_prompt.ts";

const BOS = 1;
const EOS = 2;
const SEP = 3;

/** What a fake makes of a text: its first token and its length. */
function outputsOf(texts: readonly Int32Array[]): Float32Array[] {
  return texts.map((text) => Float32Array.of(text[0] as number, text.length));
}

/** Encodes at once. */
class FakeEncoder implements Encoder {
  readonly textTokens = 40;
  readonly stepTokens = 10;
  readonly stepTexts = 4;
  readonly width = 2;
  readonly laneTokens = 12;
  readonly lanes: readonly FakeLane[];
  readonly threads: number;
  /** The first tokens of the texts of each step on all threads. */
  readonly steps: number[][] = [];
  broken = false;
  /** Called while texts are encoded; true: they are given up. */
  meanwhile: () => boolean = () => false;

  constructor(lanes = 0) {
    this.threads = lanes;
    this.lanes = Array.from({ length: lanes }, () => new FakeLane());
  }

  encode(texts: readonly Int32Array[]): readonly Float32Array[] {
    if (this.broken) throw new Error("broken");
    if (this.meanwhile()) throw new GivenUpError("given up");
    this.steps.push(texts.map((text) => text[0] as number));
    return outputsOf(texts);
  }
}

/** Encodes when it is told to. */
class FakeLane implements Lane {
  /** What it is at; `undefined`: nothing. */
  texts: readonly Int32Array[] | undefined;
  #end = Promise.withResolvers<readonly Float32Array[]>();

  encode(texts: readonly Int32Array[]): Promise<readonly Float32Array[]> {
    assertEquals(this.texts, undefined, "one call at a time");
    this.texts = texts;
    this.#end = Promise.withResolvers();
    return this.#end.promise;
  }

  /** The first token of each text it is at. */
  get at(): number[] | undefined {
    return this.texts?.map((text) => text[0] as number);
  }

  finish(error?: Error): void {
    const { texts } = this;
    assert(texts !== undefined, "the lane has something to do");
    this.texts = undefined;
    if (error === undefined) this.#end.resolve(outputsOf(texts));
    else this.#end.reject(error);
  }
}

/** Texts of so many tokens each; all of them are the job's id. */
function job(id: number, lengths: readonly number[], outputs: number[][] = []): EncodeJob {
  return {
    id,
    count: lengths.length,
    tokenize: (index) => new Int32Array(lengths[index] as number).fill(id),
    accept: (index, output) => outputs[index] = [...output],
    finish: (tokens) => ({ id, scores: [], tokens }),
  };
}

async function run(scheduler: EncodeScheduler): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  while (scheduler.busy) events.push(...await scheduler.step());
  return events;
}

Deno.test("scheduler gives texts up when all of them are of requests that are cancelled, and only then", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  for (const id of [1, 2, 3]) scheduler.submit(job(id, [5]));
  const asked: boolean[] = [];
  encoder.meanwhile = () => {
    // The first step holds two of them.
    asked.push(scheduler.abandons(new Set([1])), scheduler.abandons(new Set([1, 3])));
    if (asked.length === 2) asked.push(scheduler.abandons(new Set([2])));
    return asked.at(-1) === true;
  };
  assertEquals(await scheduler.step(), []);
  assertEquals(asked, [false, false, true]);
  // All are forgotten: what was given up is nobody's failure.
  assertEquals([scheduler.busy, scheduler.abandons(new Set([4]))], [false, false]);
});

Deno.test("scheduler encodes many texts together when they fit", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  const outputs: number[][] = [];
  scheduler.submit(job(7, [2, 3, 4, 5, 1], outputs));
  assertEquals(await run(scheduler), [{ id: 7, scores: [], tokens: 15 }]);
  assertEquals(encoder.steps, [[7, 7, 7], [7, 7]]);
  assertEquals(outputs, [[7, 2], [7, 3], [7, 4], [7, 5], [7, 1]]);
});

Deno.test("scheduler encodes no more texts together than there are sequences", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(7, [1, 1, 1, 1, 1]));
  await run(scheduler);
  assertEquals(encoder.steps.map((step) => step.length), [4, 1]);
});

Deno.test("scheduler encodes a text alone when it is longer than a step", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(7, [1, 30, 1]));
  await run(scheduler);
  assertEquals(encoder.steps.map((step) => step.length), [1, 1, 1]);
});

Deno.test("scheduler takes a short request into the next step when a long one is running", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, new Array(100).fill(4)));
  await scheduler.step();
  scheduler.submit(job(2, [4]));
  assertEquals([...await scheduler.step(), ...await scheduler.step()], [{ id: 2, scores: [], tokens: 4 }]);
});

Deno.test("scheduler lets requests take turns when several are long", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, new Array(6).fill(3)));
  scheduler.submit(job(2, new Array(6).fill(3)));
  assertEquals((await run(scheduler)).map(({ id }) => id), [1, 2]);
  for (const [index, text] of encoder.steps.flat().entries()) assertEquals(text, index % 2 + 1);
});

Deno.test("scheduler encodes nothing of a request when one of its texts is refused", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  const bad = job(1, [1, 1, 1]);
  scheduler.submit({
    ...bad,
    tokenize: (index) => {
      if (index === 2) throw new TextError("Too long");
      return bad.tokenize(index);
    },
  });
  assertEquals(await run(scheduler), [{ id: 1, error: "invalid_request", message: "Too long" }]);
  assertEquals(encoder.steps, []);
});

Deno.test("scheduler goes on encoding when another request's texts take long to read", async () => {
  const encoder = new FakeEncoder();
  let now = 0;
  const scheduler = new EncodeScheduler(encoder, { now: () => now });
  scheduler.submit(job(1, [1]));
  await scheduler.step();
  const slow = job(2, new Array(50).fill(1));
  scheduler.submit({
    ...slow,
    tokenize: (index) => {
      now += 1000;
      return slow.tokenize(index);
    },
  });
  scheduler.submit(job(3, [1]));
  assertEquals([...await scheduler.step(), ...await scheduler.step()].map(({ id }) => id), [3]);
});

Deno.test("scheduler forgets a request when it is cancelled", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, new Array(100).fill(5)));
  scheduler.submit(job(2, new Array(100).fill(5)));
  await scheduler.step();
  scheduler.cancel(1);
  const before = encoder.steps.length;
  assertEquals((await run(scheduler)).map(({ id }) => id), [2]);
  assertEquals(new Set(encoder.steps.slice(before).flat()), new Set([2]));
});

Deno.test("scheduler fails the requests of a step when it fails, and serves the next", async () => {
  const encoder = new FakeEncoder();
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, [5, 5]));
  scheduler.submit(job(2, [5, 5]));
  encoder.broken = true;
  assertEquals(await run(scheduler), [1, 2].map((id) => ({ id, error: "internal", message: "broken" })));
  encoder.broken = false;
  scheduler.submit(job(3, [5]));
  assertEquals((await run(scheduler)).map(({ id }) => id), [3]);
});

Deno.test("scheduler encodes on all threads when there are fewer texts than lanes", async () => {
  const encoder = new FakeEncoder(3);
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(7, [5, 5]));
  assertEquals(await run(scheduler), [{ id: 7, scores: [], tokens: 10 }]);
  assertEquals(encoder.steps, [[7, 7]]);
});

Deno.test("scheduler spreads texts over the lanes evenly when there are enough", async () => {
  const encoder = new FakeEncoder(2);
  const [first, second] = encoder.lanes as [FakeLane, FakeLane];
  const scheduler = new EncodeScheduler(encoder);
  const outputs: number[][] = [];
  scheduler.submit(job(7, [2, 2, 2, 2], outputs));
  const step = scheduler.step();
  assertEquals(first.at, [7, 7]);
  assertEquals(second.at, [7, 7]);
  second.finish();
  assertEquals(await step, []);
  first.finish();
  assertEquals(await run(scheduler), [{ id: 7, scores: [], tokens: 8 }]);
  assertEquals(outputs, [[7, 2], [7, 2], [7, 2], [7, 2]]);
  assertEquals(encoder.steps, []);
});

Deno.test("lane takes the next texts when it is done, whatever the others do", async () => {
  const encoder = new FakeEncoder(2);
  const [first, second] = encoder.lanes as [FakeLane, FakeLane];
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(7, new Array(12).fill(5)));
  for (let left = 12; left > 4; left -= 2) {
    const step = scheduler.step();
    assertEquals(first.at, [7, 7]);
    second.finish();
    assertEquals(await step, []);
  }
  const last = scheduler.step();
  second.finish();
  await last;
  assertEquals(second.at, undefined);
  first.finish();
  assertEquals(await run(scheduler), [{ id: 7, scores: [], tokens: 60 }]);
});

Deno.test("request begins in a free lane when another computes", async () => {
  const encoder = new FakeEncoder(2);
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, [5, 5]));
  const both = scheduler.step();
  encoder.lanes[0]?.finish();
  await both;
  scheduler.submit(job(2, [3]));
  // It is not waited for the lane that computes.
  assertEquals(await scheduler.step(), []);
  assertEquals(encoder.lanes.map(({ at }) => at), [[2], [1]]);
  encoder.lanes.forEach((lane) => lane.finish());
  assertEquals((await run(scheduler)).map(({ id }) => id).sort(), [1, 2]);
});

Deno.test("text is encoded on all threads when it is too long for a lane, once the lanes are done", async () => {
  const encoder = new FakeEncoder(2);
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, [5, 5]));
  const both = scheduler.step();
  scheduler.submit(job(2, [30]));
  encoder.lanes[0]?.finish();
  await both;
  assertEquals(await scheduler.step(), []);
  assertEquals(encoder.steps, []);
  encoder.lanes[1]?.finish();
  assertEquals((await run(scheduler)).map(({ id }) => id), [1, 2]);
  assertEquals(encoder.steps, [[2]]);
});

Deno.test("nothing of a request is told when it is cancelled while a lane computes it", async () => {
  const encoder = new FakeEncoder(2);
  const scheduler = new EncodeScheduler(encoder);
  const outputs: number[][] = [];
  scheduler.submit(job(1, [5, 5], outputs));
  const step = scheduler.step();
  scheduler.cancel(1);
  encoder.lanes.forEach((lane) => lane.finish());
  assertEquals([...await step, ...await run(scheduler)], []);
  assertEquals(outputs, []);
});

Deno.test("lane's requests fail and the others go on when it fails", async () => {
  const encoder = new FakeEncoder(2);
  const [first, second] = encoder.lanes as [FakeLane, FakeLane];
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, [9]));
  scheduler.submit(job(2, [9]));
  const step = scheduler.step();
  second.finish(new Error("broken"));
  assertEquals(await step, [{ id: 1, error: "internal", message: "broken" }]);
  first.finish();
  assertEquals(await run(scheduler), [{ id: 2, scores: [], tokens: 9 }]);
});

Deno.test("scheduler is settled when the last lane is done", async () => {
  const encoder = new FakeEncoder(2);
  const scheduler = new EncodeScheduler(encoder);
  scheduler.submit(job(1, [5, 5]));
  const step = scheduler.step();
  encoder.lanes[0]?.finish();
  await step;
  let settled = false;
  const waiting = scheduler.settled().then(() => settled = true);
  await scheduler.step();
  assertEquals(settled, false);
  encoder.lanes[1]?.finish();
  await waiting;
});

Deno.test("vector has unit length when it is cut", () => {
  const target = new Float32Array(2);
  normalizeInto(Float32Array.of(3, 4, 12), target);
  assertEquals([...target].map((value) => Math.round(value * 1e6) / 1e6), [0.6, 0.8]);
  const small = new Float32Array(3);
  normalizeInto(Float32Array.of(3e-30, 4e-30, 0), small);
  assertAlmostEquals(Math.hypot(...small), 1, 1e-6);
});

Deno.test("vector stays zero when it is", () => {
  const target = new Float32Array(2);
  normalizeInto(new Float32Array(2), target);
  assertEquals([...target], [0, 0]);
});

/** A vocabulary of characters; `^` is a control token's name. */
function model(over: Partial<EncodeModel> = {}, metadata: Record<string, string> = {}): EncodeModel {
  const tokenize = (text: string): Int32Array => Int32Array.from(text, (char) => char.codePointAt(0) as number);
  return {
    metadata: new Map(Object.entries(metadata)),
    named: { BOS, EOS, SEP, NL: -1, EOT: -1 },
    addsBos: true,
    addsEos: true,
    addsSep: true,
    vocabularySize: 128,
    tokenize,
    tokenizeWhole: (text) => Int32Array.of(BOS, ...tokenize(text), EOS),
    isControl: (token) => token === 94,
    describe: (token) => String.fromCharCode(token),
    ...over,
  };
}

const prompts: readonly [string, Partial<EncodeModel>, Record<string, string>, readonly (number | string)[]][] = [
  ["all tokens are wanted", {}, {}, [BOS, "q", EOS, SEP, "d", EOS]],
  ["the file says nothing of a separator", { addsSep: false }, {}, [BOS, "q", EOS, SEP, "d", EOS]],
  ["the file wants no separator", { addsSep: false }, { "tokenizer.ggml.add_sep_token": "false" }, [
    BOS,
    "q",
    EOS,
    "d",
    EOS,
  ]],
  ["there is no end but a separator", { named: { BOS, EOS: -1, SEP, NL: -1, EOT: -1 } }, {}, [
    BOS,
    "q",
    SEP,
    SEP,
    "d",
    SEP,
  ]],
  ["only words are wanted", { addsBos: false, addsEos: false, named: { BOS, EOS, SEP: -1, NL: -1, EOT: -1 } }, {}, [
    "q",
    "d",
  ]],
  ["the model has a template", {}, { "tokenizer.chat_template.rerank": "^Q:{query}^D:{document}" }, [
    94,
    "Q",
    ":",
    "q",
    94,
    "D",
    ":",
    "d",
  ]],
];
for (const [when, over, metadata, expected] of prompts) {
  Deno.test(`rerank prompt has the tokens the model wants when ${when}`, () => {
    const tokens = new RerankPrompt(model(over, metadata)).of("q")("d");
    assertEquals([...tokens], expected.map((part) => typeof part === "number" ? part : part.charCodeAt(0)));
  });
}

Deno.test("rerank prompt keeps a query's words when they look like the template's", () => {
  const metadata = { "tokenizer.chat_template.rerank": "{query}|{document}" };
  const tokens = new RerankPrompt(model({}, metadata)).of("{document}")("d");
  assertEquals(String.fromCharCode(...tokens), "{document}|d");
});

Deno.test("jobs refuse a text early when it is far too long to be made tokens at once", () => {
  let asked = 0;
  const tokenizeWhole = (): Int32Array => {
    asked++;
    return new Int32Array(1);
  };
  const jobs = new EncodeJobs(model({ tokenizeWhole }), new FakeEncoder(), { purpose: "embed", modelName: "m" });
  const huge = jobs.embed(1, { input: ["a", "x".repeat(1_000_000)] });
  huge.tokenize(0);
  assertThrows(() => huge.tokenize(1), TextError, '"input[1]" is too large: it has more than ');
  assertEquals(asked, 1);
});

Deno.test("jobs name the text and its tokens when it is too long", () => {
  const embed = new EncodeJobs(model(), new FakeEncoder(), { purpose: "embed", modelName: "m" });
  assertThrows(
    () => embed.embed(1, { input: ["x".repeat(39)] }).tokenize(0),
    TextError,
    '"input[0]" is too large: it has 41 tokens, the maximum is 40',
  );
  assertEquals(embed.embed(1, { input: ["x".repeat(38)] }).tokenize(0).length, 40);
  const rerank = new EncodeJobs(model(), new FakeEncoder(), { purpose: "rerank", modelName: "m" });
  assertThrows(
    () => rerank.rerank(1, { query: "x".repeat(20), documents: ["d", "x".repeat(17)] }).tokenize(1),
    TextError,
    '"documents[1]" is too large: it has 41 tokens with the query, the maximum is 40',
  );
});

Deno.test("jobs read a document once and give it one score when it is repeated", () => {
  const jobs = new EncodeJobs(model(), new FakeEncoder(), { purpose: "rerank", modelName: "m" });
  const job = jobs.rerank(1, { query: "q", documents: ["a", "bb", "a", "a"] });
  assertEquals(job.count, 2);
  const tokens = [job.tokenize(0).length, job.tokenize(1).length] as const;
  job.accept(0, Float32Array.of(0.5));
  job.accept(1, Float32Array.of(0.25));
  const [a, b] = tokens;
  assertEquals(job.finish(a + b), { id: 1, scores: [0.5, 0.25, 0.5, 0.5], tokens: 3 * a + b });
  const long = "x".repeat(40);
  const late = jobs.rerank(1, { query: "q", documents: ["a", "a", long, long] });
  assertThrows(() => late.tokenize(1), TextError, '"documents[2]" is too large: it has ');
});

Deno.test("jobs put the family's words before each text when there is a task", () => {
  const seen: string[] = [];
  const tokenizeWhole = (text: string): Int32Array => {
    seen.push(text);
    return new Int32Array(1);
  };
  const jobs = new EncodeJobs(model({ tokenizeWhole }), new FakeEncoder(), {
    purpose: "embed",
    modelName: "nomic-embed-text-v1.5.Q8_0",
  });
  const job = jobs.embed(1, { input: ["a", "b"], task: "retrieval_query" });
  job.tokenize(0);
  job.tokenize(1);
  assertEquals(seen, ["search_query: a", "search_query: b"]);
});

function purposeModel(metadata: Record<string, string>, over: Partial<PurposeModel> = {}): PurposeModel {
  return {
    metadata: new Map(Object.entries(metadata)),
    generates: true,
    encoderOnly: false,
    encoderDecoder: false,
    ranks: false,
    ...over,
  };
}

const BERT = { "general.architecture": "bert" };
const LLAMA = { "general.architecture": "llama" };
const purposes: readonly [string, PurposeModel, Parameters<typeof purposeOf>[1], ReturnType<typeof purposeOf>][] = [
  ["nothing says otherwise", purposeModel(LLAMA), { modelPath: "m" }, { purpose: "generate" }],
  ["vectors are configured", purposeModel(LLAMA), { modelPath: "m", embed: true }, {
    purpose: "embed",
    pooling: POOLING.last,
  }],
  ["a pooling is configured", purposeModel(LLAMA), { modelPath: "m", pooling: "mean" }, {
    purpose: "embed",
    pooling: POOLING.mean,
  }],
  ["the metadata name a pooling", purposeModel({ ...LLAMA, "llama.pooling_type": "3" }), { modelPath: "m" }, {
    purpose: "embed",
    pooling: POOLING.last,
  }],
  ["the metadata name none", purposeModel({ ...LLAMA, "llama.pooling_type": "0" }), { modelPath: "m" }, {
    purpose: "generate",
  }],
  ["the architecture only reads", purposeModel(BERT), { modelPath: "m" }, { purpose: "embed", pooling: POOLING.mean }],
  ["the metadata say that it ranks", purposeModel({ ...BERT, "bert.pooling_type": "4" }, { ranks: true }), {
    modelPath: "m",
  }, { purpose: "rerank", pooling: POOLING.rank }],
  ["a pooling is configured for one that ranks", purposeModel({ ...BERT, "bert.pooling_type": "4" }), {
    modelPath: "m",
    pooling: "cls",
  }, { purpose: "embed", pooling: POOLING.cls }],
];
for (const [when, model, config, expected] of purposes) {
  Deno.test(`model is loaded for ${expected.purpose} when ${when}`, () => {
    assertEquals(purposeOf(model, config), expected);
  });
}

Deno.test("model is refused when it cannot do what is asked", () => {
  const config = { modelPath: "m.gguf" };
  assertThrows(
    () => purposeOf(purposeModel(BERT), { ...config, pooling: "rank" }),
    ModelError,
    'Cannot use "m.gguf": it has no ranking head',
  );
  assertThrows(
    () => purposeOf(purposeModel(LLAMA, { generates: false }), config),
    ModelError,
    'Cannot use "m.gguf": it does not generate text token by token',
  );
  assertThrows(
    () => purposeOf(purposeModel({}, { generates: false, encoderDecoder: true }), { ...config, embed: true }),
    ModelError,
    "it is an encoder-decoder",
  );
});
