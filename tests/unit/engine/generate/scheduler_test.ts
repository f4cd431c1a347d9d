import { assert, assertEquals } from "@std/assert";
import type { DecodeOutcome, Decoder } from "../../../../src/engine/native/context.ts";
import { GrammarError } from "../../../../src/grammar/rules.ts";
import type { EngineEvent } from "../../../../src/engine/ipc/messages.ts";
import { ModelAnswer, type Vocabulary } from "../../../../src/engine/answer/answer.ts";
import type { Constraint } from "../../../../src/grammar/constraint.ts";
import { Parser } from "../../../../src/engine/answer/parser.ts";
import type { Job } from "../../../../src/engine/generate/running.ts";
import { Scheduler, type SchedulerOptions } from "../../../../src/engine/generate/scheduler.ts";
import { run, textOf } from "./ahead/support.ts";

const VOCABULARY = 128;
const END = 0;
const GREEDY = { temperature: 0, topP: 1, topK: 0 };
const encoder = new TextEncoder();

/**
 * Memory of tokens, checked as the real one would: a token goes to the end of its sequence. After a token `n` comes
 * `n + 1`, as a letter; after `z` comes the end.
 */
class FakeDecoder implements Decoder {
  readonly sequences: number[][];
  /** Batches as they were decoded: sequence and token of each. */
  readonly batches: [sequence: number, token: number][][] = [];
  readonly copies: [from: number, to: number, length: number][] = [];
  apart = false;
  leastCopied = 16;
  failNext: "full" | "aborted" | "broken" | undefined;
  requests = 0;
  /** Called after each batch with its tokens. */
  onDecode: (tokens: number) => void = () => {};
  /** Called while a batch is decoded; true: it is given up when about half of it is in memory. */
  meanwhile: () => boolean = () => false;
  #batch: [sequence: number, token: number][] = [];
  #rows: number[] = [];

  constructor(parallel: number, readonly cells: number, readonly cutsNothing = false) {
    this.sequences = Array.from({ length: parallel }, () => []);
  }

  put(token: number, position: number, sequence: number, output: boolean): void {
    const before = this.#batch.filter(([other]) => other === sequence).length;
    assertEquals(position, this.#sequence(sequence).length + before);
    this.#batch.push([sequence, token]);
    if (output) this.#rows.push(token);
  }

  beginRequest(): void {
    this.requests++;
  }

  decode(): DecodeOutcome {
    const failure = this.failNext;
    this.failNext = undefined;
    const batch = this.#batch;
    this.#batch = [];
    if (failure !== undefined) this.#rows.length = 0;
    if (failure === "broken") throw new Error("broken");
    if (failure === "full" || failure === "aborted") return failure;
    if (this.meanwhile()) {
      this.#rows.length = 0;
      for (const [sequence, token] of batch.slice(0, batch.length / 2)) this.#sequence(sequence).push(token);
      return "aborted";
    }
    for (const [sequence, token] of batch) this.#sequence(sequence).push(token);
    const held = new Set(this.sequences.flatMap((tokens, i) => tokens.map((_, at) => `${i} ${at}`)));
    assert(held.size <= this.cells, `${held.size} cells of ${this.cells}`);
    this.batches.push(batch);
    this.onDecode(batch.length);
    return "done";
  }

  logits(row: number): Float32Array {
    if (row === 0) this.#lastRows = this.#rows.splice(0);
    const logits = new Float32Array(VOCABULARY);
    const last = this.#lastRows[row] as number;
    logits[last === "z".charCodeAt(0) ? END : last + 1] = 1;
    return logits;
  }
  #lastRows: number[] = [];

  truncate(sequence: number, length: number): boolean {
    this.#sequence(sequence).length = this.cutsNothing ? 0 : length;
    return !this.cutsNothing;
  }

  worthCopying(): number {
    return this.leastCopied;
  }

  copy(from: number, to: number, { length, held }: { readonly length: number; readonly held: number }): void {
    assertEquals(this.#sequence(to), []);
    assertEquals(this.#sequence(from).length, held);
    assert(held >= length);
    this.copies.push([from, to, length]);
    this.#sequence(to).push(...this.#sequence(from).slice(0, length));
  }

  #sequence(sequence: number): number[] {
    return this.sequences[sequence] as number[];
  }
}

interface Setup {
  readonly scheduler: Scheduler;
  readonly decoder: FakeDecoder;
}

function setUp(options: Partial<SchedulerOptions> & { cells?: number; apart?: boolean } = {}): Setup {
  const { parallel = 2, contextTokens = 100, wholeSequencesOnly = false, kept = [] } = options;
  const keptCells = kept.reduce((sum, { length }) => sum + length, 0);
  const cells = options.cells ?? contextTokens * parallel + keptCells;
  const decoder = new FakeDecoder(parallel + kept.length, cells, wholeSequencesOnly);
  decoder.apart = options.apart ?? false;
  // A clock that stands still: the time of prompts is then no limit, their number is.
  const { now = (): number => 0 } = options;
  return { decoder, scheduler: new Scheduler({ decoder, parallel, contextTokens, wholeSequencesOnly, kept, now }) };
}

const LETTERS: Vocabulary = {
  vocabularySize: VOCABULARY,
  piece: (token) => encoder.encode(String.fromCharCode(token)),
  pieceText: (token) => String.fromCharCode(token),
  endsAnswer: (token) => token === END,
};

interface JobOptions {
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly endTexts?: readonly string[];
  readonly endTokens?: ReadonlySet<number>;
  readonly constraint?: Constraint;
  readonly vocabulary?: Vocabulary;
}

function job(id: number, prompt: string, options: JobOptions = {}): Job {
  const { maxTokens = 50, stop = [], endTexts = [], endTokens = new Set(), constraint, vocabulary = LETTERS } = options;
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop, ends: endTexts });
  const binding = constraint === undefined ? {} : { whole: () => constraint };
  return {
    id,
    prompt: Int32Array.from(prompt, (letter) => letter.charCodeAt(0)),
    sampling: GREEDY,
    maxTokens,
    answer: new ModelAnswer({ id, vocabulary, parser, endTokens, binding }),
  };
}

/** How it ended; the times are a test's of their own. */
function endOf(
  events: readonly EngineEvent[],
  id: number,
): Exclude<EngineEvent, { done: unknown }> | Omit<Extract<EngineEvent, { done: unknown }>, "ms"> | undefined {
  const end = events.find((event) => event.id === id && !("t" in event));
  if (end === undefined || !("done" in end)) return end;
  const { ms: _, ...rest } = end;
  return rest;
}

Deno.test("Scheduler has nothing to do when nothing was asked", () => {
  const { scheduler, decoder } = setUp();
  assertEquals([scheduler.busy, scheduler.step(), decoder.batches], [false, [], []]);
});

Deno.test("Scheduler answers until the model ends", () => {
  const { scheduler } = setUp();
  scheduler.submit(job(1, "aw"));
  const events = run(scheduler);
  assertEquals(textOf(events, 1), "xyz");
  assertEquals(endOf(events, 1), { id: 1, done: "end", prompt: 2, completion: 3, cached: 0 });
});

Deno.test("Scheduler ends an answer at a token that ends it for this template", () => {
  const { scheduler } = setUp();
  scheduler.submit(job(1, "a", { endTokens: new Set(["d".charCodeAt(0)]) }));
  const events = run(scheduler);
  assertEquals([textOf(events, 1), endOf(events, 1)], ["bc", {
    id: 1,
    done: "end",
    prompt: 1,
    completion: 2,
    cached: 0,
  }]);
});

Deno.test("Scheduler tells a stop string of the caller from one of the template", () => {
  const { scheduler } = setUp();
  scheduler.submit(job(1, "a", { stop: ["ef"] }));
  scheduler.submit(job(2, "a", { endTexts: ["ef"] }));
  const events = run(scheduler);
  assertEquals([textOf(events, 1), textOf(events, 2)], ["bcd", "bcd"]);
  assertEquals([endOf(events, 1), endOf(events, 2)].map((end) => end && "done" in end && end.done), ["stop", "end"]);
});

Deno.test("Scheduler ends with length when max_tokens are used, and when the context is full", () => {
  const { scheduler } = setUp({ contextTokens: 10 });
  scheduler.submit(job(1, "a", { maxTokens: 3 }));
  scheduler.submit(job(2, "aaab"));
  const events = run(scheduler);
  assertEquals([textOf(events, 1), textOf(events, 2)], ["bcd", "cdefgh"]);
  assertEquals(endOf(events, 2), { id: 2, done: "length", prompt: 4, completion: 6, cached: 0 });
});

Deno.test("Scheduler decodes running requests together, one token of each", () => {
  const { scheduler, decoder } = setUp();
  scheduler.submit(job(1, "a", { maxTokens: 4 }));
  scheduler.submit(job(2, "p", { maxTokens: 4 }));
  run(scheduler);
  assertEquals(decoder.batches.map((batch) => batch.length), [2, 2, 2, 2]);
});

Deno.test("Scheduler goes on with running requests while it decodes a long prompt in portions", () => {
  const { scheduler, decoder } = setUp({ contextTokens: 1000 });
  scheduler.submit(job(1, "a", { maxTokens: 20 }));
  scheduler.step();
  scheduler.submit(job(2, "q".repeat(100), { maxTokens: 1 }));
  run(scheduler);
  const withPrompt = decoder.batches.filter((batch) => batch.some(([, token]) => token === "q".charCodeAt(0)));
  assert(withPrompt.length > 1);
  assert(withPrompt.every((batch) => batch.some(([sequence]) => sequence === 0)));
});

Deno.test("Scheduler lets requests wait for a slot, and starts them in order", () => {
  const { scheduler } = setUp({ parallel: 1 });
  for (const id of [1, 2, 3]) scheduler.submit(job(id, "ax"));
  const order = run(scheduler).filter((event) => "done" in event).map((event) => event.id);
  assertEquals(order, [1, 2, 3]);
});

Deno.test("Scheduler starts a request only when the cells it may need can be promised", () => {
  const { scheduler, decoder } = setUp({ parallel: 3, contextTokens: 20, cells: 25 });
  scheduler.submit(job(1, "a", { maxTokens: 100 }));
  scheduler.submit(job(2, "p", { maxTokens: 9 }));
  scheduler.submit(job(3, "p", { maxTokens: 1 }));
  const events = run(scheduler);
  // The second waits for the first, and the third does not pass it.
  const ends = events.filter((event) => "done" in event).map((event) => event.id);
  assertEquals(ends[0], 1);
  assertEquals(ends.length, 3);
  assert(decoder.batches.slice(0, 19).every((batch) => batch.length === 1));
});

Deno.test("Scheduler forgets kept tokens when running requests need their cells", () => {
  const { scheduler } = setUp({ parallel: 3, contextTokens: 20, cells: 20 });
  // The fake fails the test if more cells are held than there are.
  for (let id = 1; id <= 6; id++) {
    scheduler.submit(job(id, String.fromCharCode(96 + id).repeat(5), { maxTokens: 15 }));
    assert("done" in (endOf(run(scheduler), id) ?? {}));
  }
});

Deno.test("Scheduler decodes only the rest of a prompt when a slot holds its beginning", () => {
  const { scheduler, decoder } = setUp();
  scheduler.submit(job(1, "aaaw"));
  run(scheduler);
  const before = decoder.batches.length;
  scheduler.submit(job(2, "aaawxypw"));
  const events = run(scheduler);
  assertEquals(endOf(events, 2), { id: 2, done: "end", prompt: 8, completion: 3, cached: 6 });
  assertEquals(decoder.batches[before]?.length, 2);
});

Deno.test("Scheduler decodes the last token again when a slot holds the whole prompt", () => {
  const { scheduler } = setUp();
  for (const id of [1, 2]) {
    scheduler.submit(job(id, "aaaw"));
    const events = run(scheduler);
    assertEquals([textOf(events, id), endOf(events, id)], [
      "xyz",
      { id, done: "end", prompt: 4, completion: 3, cached: id === 1 ? 0 : 3 },
    ]);
  }
});

Deno.test("Scheduler copies a long beginning from a slot that runs", () => {
  const { scheduler, decoder } = setUp();
  const system = "s".repeat(30);
  scheduler.submit(job(1, `${system}a`));
  scheduler.step();
  scheduler.submit(job(2, `${system}pw`));
  const events = run(scheduler);
  assertEquals(decoder.copies, [[0, 1, 30]]);
  assertEquals(endOf(events, 2), { id: 2, done: "end", prompt: 32, completion: 3, cached: 30 });
});

Deno.test("Scheduler decodes a beginning again when to copy it takes longer", () => {
  const { scheduler, decoder } = setUp();
  decoder.leastCopied = 31;
  const system = "s".repeat(30);
  scheduler.submit(job(1, `${system}a`));
  scheduler.step();
  scheduler.submit(job(2, `${system}pw`));
  const events = run(scheduler);
  assertEquals(decoder.copies, []);
  assertEquals(textOf(events, 2), "xyz");
});

Deno.test("Scheduler decodes a beginning once when requests that share it come at once", () => {
  const { scheduler, decoder } = setUp({ parallel: 3 });
  const system = "s".repeat(80);
  for (const id of [1, 2, 3]) scheduler.submit(job(id, `${system}${id}w`));
  const events = run(scheduler);
  assertEquals(decoder.batches.flat().filter(([, token]) => token === "s".charCodeAt(0)).length, 80);
  for (const id of [1, 2, 3]) assertEquals(textOf(events, id), "xyz");
});

Deno.test("Scheduler shares no beginning where a sequence cannot be cut, but continues a whole one", () => {
  const { scheduler, decoder } = setUp({ wholeSequencesOnly: true });
  const system = "s".repeat(40);
  scheduler.submit(job(1, `${system}w`));
  run(scheduler);
  scheduler.submit(job(2, `${system}pw`));
  scheduler.submit(job(3, `${system}wxyzpw`));
  const events = run(scheduler);
  assertEquals(decoder.copies, []);
  for (const [id, cached] of [[2, 0], [3, 44]] as const) {
    const end = endOf(events, id);
    assertEquals([textOf(events, id), end && "done" in end && end.cached], ["xyz", cached]);
  }
});

Deno.test("Scheduler forgets a request when it is cancelled, waiting, starting or running", () => {
  const { scheduler, decoder } = setUp({ parallel: 1, contextTokens: 1000 });
  scheduler.submit(job(1, "a".repeat(200)));
  scheduler.submit(job(2, "a"));
  scheduler.step();
  assert((decoder.sequences[0]?.length ?? 0) < 200);
  scheduler.cancel(1);
  scheduler.cancel(2);
  scheduler.cancel(99);
  assertEquals(scheduler.busy, false);
  scheduler.submit(job(3, "a"));
  scheduler.step();
  scheduler.cancel(3);
  assertEquals([scheduler.busy, scheduler.step()], [false, []]);
});

Deno.test("Scheduler gives a batch up that is mostly for a request that is cancelled, and the others lose nothing", () => {
  const { scheduler, decoder } = setUp({ contextTokens: 1000 });
  scheduler.submit(job(1, "a", { maxTokens: 10 }));
  const events = scheduler.step();
  scheduler.submit(job(2, "q".repeat(100)));
  decoder.meanwhile = () => scheduler.abandons(new Set([2]));
  assertEquals(scheduler.step(), []);
  decoder.meanwhile = () => false;
  // As if the batch had never been: the fake fails the test if a token goes elsewhere than to the end.
  assertEquals([decoder.sequences[0]?.length, decoder.sequences[1]?.length], [1, 0]);
  scheduler.cancel(2);
  events.push(...run(scheduler));
  assertEquals(textOf(events, 1), "bcdefghijk");
});

Deno.test("Scheduler begins a given up prompt again when the request is not the one that was cancelled", () => {
  const { scheduler, decoder } = setUp({ parallel: 3, contextTokens: 1000 });
  scheduler.submit(job(1, "q".repeat(12)));
  scheduler.submit(job(2, "xw"));
  decoder.meanwhile = () => scheduler.abandons(new Set([1]));
  assertEquals(scheduler.step(), []);
  decoder.meanwhile = () => false;
  scheduler.cancel(1);
  assertEquals(textOf(run(scheduler), 2), "xyz");
});

Deno.test("Scheduler goes on with a batch that is mostly for others, or for nobody who is cancelled", () => {
  const { scheduler, decoder } = setUp({ contextTokens: 1000 });
  for (const id of [1, 2]) scheduler.submit(job(id, id === 1 ? "a".repeat(10) : "w"));
  const asked: boolean[] = [];
  decoder.meanwhile = () => {
    asked.push(scheduler.abandons(new Set([2])), scheduler.abandons(new Set([99])), scheduler.abandons(new Set()));
    return false;
  };
  scheduler.step();
  assertEquals(asked, [false, false, false]);
});

Deno.test("Scheduler gives a batch up only when all of it is for those who go where a sequence cannot be cut", () => {
  const { scheduler, decoder } = setUp({ parallel: 2, contextTokens: 1000, wholeSequencesOnly: true });
  scheduler.submit(job(1, "a".repeat(10)));
  scheduler.submit(job(2, "w"));
  const asked: boolean[] = [];
  decoder.meanwhile = () => {
    asked.push(scheduler.abandons(new Set([1])), scheduler.abandons(new Set([1, 2])));
    return true;
  };
  scheduler.step();
  decoder.meanwhile = () => false;
  assertEquals(asked, [false, true]);
  // Nothing is known of what is in memory, and nothing is kept of it.
  assertEquals(decoder.sequences, [[], []]);
  scheduler.cancel(1);
  assertEquals(textOf(run(scheduler), 2), "xyz");
});

Deno.test("Scheduler begins a kept beginning again when its batch was given up", () => {
  const kept = [Int32Array.from("s".repeat(30), (letter) => letter.charCodeAt(0))];
  const { scheduler, decoder } = setUp({ contextTokens: 1000, kept });
  decoder.meanwhile = () => true;
  scheduler.step();
  decoder.meanwhile = () => false;
  run(scheduler);
  assertEquals(decoder.sequences[2]?.length, 30);
});

Deno.test("Scheduler keeps what a cancelled request decoded for the next", () => {
  const { scheduler } = setUp({ parallel: 1, contextTokens: 1000 });
  scheduler.submit(job(1, "a".repeat(200)));
  scheduler.step();
  scheduler.cancel(1);
  scheduler.submit(job(2, `${"a".repeat(200)}w`));
  const end = endOf(run(scheduler), 2);
  assert(end !== undefined && "done" in end && end.cached > 0 && end.cached < 200);
});

Deno.test("Scheduler decodes nothing for a paused request, and keeps its slot", () => {
  const { scheduler, decoder } = setUp();
  scheduler.submit(job(1, "a"));
  scheduler.step();
  scheduler.pause(1);
  assertEquals(scheduler.busy, false);
  scheduler.submit(job(2, "w"));
  assertEquals(textOf(run(scheduler), 2), "xyz");
  assertEquals(decoder.sequences[0]?.length, 1);
  scheduler.resume(1);
  assertEquals(textOf(run(scheduler), 1), "cdefghijklmnopqrstuvwxyz");
});

Deno.test("Scheduler starts a request that was paused while it waited, and decodes it when it is resumed", () => {
  const { scheduler } = setUp({ parallel: 1 });
  scheduler.submit(job(1, "w"));
  scheduler.submit(job(2, "w"));
  scheduler.pause(2);
  const events = run(scheduler);
  assertEquals([textOf(events, 1), textOf(events, 2)], ["xyz", ""]);
  scheduler.resume(2);
  assertEquals(textOf(run(scheduler), 2), "xyz");
});

Deno.test("Scheduler gives the slot of a paused request to one that waits, and goes on with it where it was", () => {
  const { scheduler, decoder } = setUp({ parallel: 1 });
  scheduler.submit(job(1, "a"));
  let before = textOf(scheduler.step(), 1);
  before += textOf(scheduler.step(), 1);
  scheduler.pause(1);
  assertEquals(scheduler.busy, false);
  scheduler.submit(job(2, "w"));
  const events = run(scheduler);
  assertEquals([textOf(events, 1), textOf(events, 2)], ["", "xyz"]);
  assertEquals(scheduler.busy, false);
  scheduler.resume(1);
  const after = run(scheduler);
  assertEquals(before + textOf(after, 1), "bcdefghijklmnopqrstuvwxyz");
  assertEquals(endOf(after, 1), { id: 1, done: "end", prompt: 1, completion: 25, cached: 0 });
  assertEquals(decoder.requests, 3);
});

Deno.test("Scheduler decodes nothing twice when a request takes the slot again that nobody needed, and forgets one that is cancelled", () => {
  const { scheduler, decoder } = setUp({ parallel: 2 });
  for (const id of [1, 2]) scheduler.submit(job(id, id === 1 ? "abc" : "ijk"));
  scheduler.step();
  scheduler.step();
  for (const id of [1, 2]) scheduler.pause(id);
  scheduler.submit(job(3, "w"));
  assertEquals(textOf(run(scheduler), 3), "xyz");
  scheduler.cancel(1);
  decoder.batches.length = 0;
  scheduler.resume(1);
  scheduler.resume(2);
  assertEquals(textOf(run(scheduler), 2), "mnopqrstuvwxyz".slice(1));
  assertEquals(decoder.batches.flat().some(([, token]) => token === "i".charCodeAt(0)), false);
});

Deno.test("Scheduler sends text in whole characters", () => {
  const decoder = new FakeDecoder(1, 100);
  const bytes = encoder.encode("é");
  const vocabulary: Vocabulary = {
    vocabularySize: VOCABULARY,
    // The letter after `a` stands for the first half of a character, the next for the other.
    piece: (token) => token === 98 ? bytes.slice(0, 1) : token === 99 ? bytes.slice(1) : encoder.encode("-"),
    pieceText: (token) => token === 98 || token === 99 ? undefined : "-",
    endsAnswer: (token) => token === END,
  };
  const scheduler = new Scheduler({ decoder, parallel: 1, contextTokens: 100 });
  scheduler.submit(job(1, "a", { maxTokens: 3, vocabulary }));
  assertEquals(run(scheduler).flatMap((event) => "t" in event ? [event.t] : []), ["é", "-"]);
});

/** Allows the letters given, in this order, and then the end. */
function spelling(letters: string, fail?: Error): Constraint {
  let at = 0;
  return {
    allows(token): boolean {
      if (fail !== undefined) throw fail;
      return token === (at < letters.length ? letters.charCodeAt(at) : END);
    },
    accept: () => void at++,
    get complete() {
      return at === letters.length;
    },
  };
}

Deno.test("Scheduler follows a constraint, and ends when nothing can follow", () => {
  const { scheduler, decoder } = setUp();
  scheduler.submit(job(1, "a", { constraint: spelling("cab") }));
  const events = run(scheduler);
  assertEquals([textOf(events, 1), endOf(events, 1)], ["cab", {
    id: 1,
    done: "end",
    prompt: 1,
    completion: 3,
    cached: 0,
  }]);
  // Nothing is decoded to learn that the end follows.
  assertEquals(decoder.batches.length, 3);
});

Deno.test("Scheduler ends a request, and no other, when its grammar leads nowhere or cannot be followed", () => {
  const { scheduler } = setUp({ parallel: 3 });
  scheduler.submit(job(1, "w", { constraint: { allows: () => false, accept: () => {}, complete: false } }));
  scheduler.submit(job(2, "w", { constraint: spelling("", new GrammarError("Too ambiguous")) }));
  scheduler.submit(job(3, "w"));
  const events = run(scheduler);
  const errors = [1, 2].map((id) => endOf(events, id)).map((end) => end && "error" in end && end.error);
  assertEquals(errors, ["invalid_request", "invalid_request"]);
  assertEquals(textOf(events, 3), "xyz");
});

Deno.test("Scheduler fails what runs and serves what comes after when a step fails", () => {
  for (const failure of ["full", "broken"] as const) {
    const { scheduler, decoder } = setUp();
    scheduler.submit(job(1, "a"));
    scheduler.submit(job(2, "a".repeat(20)));
    scheduler.step();
    decoder.failNext = failure;
    const events = scheduler.step();
    assertEquals(events.map((event) => [event.id, "error" in event && event.error]), [[1, "internal"], [
      2,
      "internal",
    ]]);
    scheduler.submit(job(3, "aw"));
    const after = run(scheduler);
    assertEquals(textOf(after, 3), "xyz");
    const end = endOf(after, 3);
    assertEquals(end && "done" in end && end.cached, 0);
  }
});

Deno.test("Scheduler decodes what is to be kept before anybody asks, and every request starts from it", () => {
  const system = "be kind to everybody who asks, ";
  const { scheduler, decoder } = setUp({ kept: [Int32Array.from(system, (letter) => letter.charCodeAt(0))] });
  assertEquals(run(scheduler), []);
  assertEquals(String.fromCharCode(...decoder.sequences[2] ?? []), system);
  // More different requests than there are slots: each finds it nevertheless.
  for (const [id, prompt] of [[1, "x"], [2, "y"], [3, "w"], [4, "v"]] as const) {
    scheduler.submit(job(id, system + prompt));
    scheduler.submit(job(id + 10, prompt.repeat(40)));
    const end = endOf(run(scheduler), id);
    assertEquals(end !== undefined && "cached" in end && end.cached, system.length);
  }
  assertEquals(String.fromCharCode(...decoder.sequences[2] ?? []), system);
});

Deno.test("Scheduler serves requests first when something is to be kept", () => {
  const { scheduler, decoder } = setUp({ kept: [Int32Array.from("keep", (letter) => letter.charCodeAt(0))] });
  scheduler.submit(job(1, "aw"));
  scheduler.step();
  assertEquals(decoder.batches.flat().every(([sequence]) => sequence !== 2), true);
  run(scheduler);
  assertEquals(decoder.sequences[2]?.length, 4);
});

Deno.test("Scheduler leaves what is kept its cells when requests need many", () => {
  const kept = [Int32Array.from("k".repeat(20), (letter) => letter.charCodeAt(0))];
  const { scheduler } = setUp({ kept, cells: 100, contextTokens: 60 });
  run(scheduler);
  scheduler.submit(job(1, "a".repeat(30)));
  scheduler.submit(job(2, "b".repeat(30)));
  // 60 and 20 of 100 cells: the second has to wait, and both come to their end.
  const events = run(scheduler);
  assertEquals([1, 2].map((id) => textOf(events, id).length > 0), [true, true]);
});

/** A machine that computes a batch of 512 in 1200 ms, and small ones at a lower rate. */
const decodeMs = (tokens: number): number => 20 + 2.3 * tokens;

/** A scheduler on that machine. */
function setUpTimed(
  parallel: number,
  apart = false,
): Setup & { readonly now: () => number; readonly pass: (ms: number) => void } {
  let ms = 0;
  const now = (): number => ms;
  const setup = setUp({ parallel, contextTokens: 5000, now, apart });
  setup.decoder.onDecode = (tokens): void => void (ms += decodeMs(tokens));
  // What the first request finds is a machine that nothing is known of.
  setup.scheduler.submit(job(99, "0".repeat(600), { maxTokens: 1 }));
  run(setup.scheduler);
  setup.decoder.batches.length = 0;
  return { ...setup, now, pass: (passed) => void (ms += passed) };
}

/** Step until there is nothing to do; returns when each request had its first text and its end. */
function runTimed({ scheduler, now }: { scheduler: Scheduler; now: () => number }): Map<string, number> {
  const times = new Map<string, number>();
  while (scheduler.busy) {
    for (const event of scheduler.step()) {
      const what = `${event.id} ${"t" in event ? "first" : "end"}`;
      if (!times.has(what)) times.set(what, now());
    }
  }
  return times;
}

function timeOf(times: ReadonlyMap<string, number>, what: string): number {
  const time = times.get(what);
  assert(time !== undefined, `${what}: ${[...times.keys()]}`);
  return time;
}

Deno.test("Scheduler begins the very first prompt with a small piece, since the model may be slow", () => {
  let ms = 0;
  const { scheduler, decoder } = setUp({ contextTokens: 5000, now: () => ms });
  // Four tokens a second: a whole batch would take two minutes.
  decoder.onDecode = (tokens): void => void (ms += tokens * 250);
  scheduler.submit(job(1, "a".repeat(100), { maxTokens: 1 }));
  run(scheduler);
  const sizes = decoder.batches.map((batch) => batch.length);
  assertEquals(Math.max(...sizes), 32);
});

Deno.test("Scheduler reads a long prompt in whole batches while nobody waits for a token", () => {
  const { scheduler, decoder } = setUpTimed(2);
  scheduler.submit(job(1, "p".repeat(1500), { maxTokens: 1 }));
  run(scheduler);
  assertEquals(decoder.batches.map((batch) => batch.length), [512, 512, 476]);
});

Deno.test("Scheduler gives a stream a token every 400 ms at least, and a long prompt beside it nearly full speed", () => {
  const { scheduler, decoder, now } = setUpTimed(2);
  scheduler.submit(job(1, "!", { maxTokens: 80 }));
  scheduler.step();
  const started = now();
  scheduler.submit(job(2, "p".repeat(3000), { maxTokens: 1 }));
  const times = runTimed({ scheduler, now });
  const beside = decoder.batches.filter((batch) => batch.some(([sequence]) => sequence === 0));
  assertEquals(beside.filter((batch) => decodeMs(batch.length) > 400), []);
  const withPrompt = decoder.batches.filter((batch) => batch.some(([, token]) => token === "p".charCodeAt(0)));
  assert(withPrompt.slice(0, 20).every((batch) => batch.some(([sequence]) => sequence === 0)));
  const alone = decodeMs(512) * 3000 / 512;
  const took = timeOf(times, "2 end") - started;
  assert(took <= 1.2 * alone, `${took} ms, ${alone} ms alone`);
});

Deno.test("Scheduler reads whole tiles of a prompt beside a stream, before it where both would be computed together", () => {
  for (const ended of [0, 1]) {
    const { scheduler, decoder, pass } = setUpTimed(3, true);
    scheduler.submit(job(1, "!", { maxTokens: 60 }));
    // What has ended lies between the stream and the prompt.
    for (let id = 2; id < 2 + ended; id++) scheduler.submit(job(id, "?", { maxTokens: 1 }));
    pass(20);
    scheduler.step();
    const before = decoder.batches.length;
    scheduler.submit(job(9, "p".repeat(1000), { maxTokens: 1 }));
    const text = textOf(run(scheduler), 1);
    assert("#$%".length < text.length && text.startsWith("#$%"), text);
    const isPrompt = ([, token]: readonly [number, number]): boolean => token === "p".charCodeAt(0);
    const both = decoder.batches.slice(before).filter((batch) => batch.some(isPrompt) && !batch.every(isPrompt));
    const prompts = both.map((batch) => batch.filter(isPrompt).length);
    // The last step has a whole tile, too.
    assert(prompts.length > 3 && prompts.slice(0, -2).every((tokens) => tokens % 64 === 0), `${prompts}`);
    assert(prompts.slice(-2).every((tokens) => tokens >= 64), `${prompts}`);
    const [stream, prompt] = [false, true].map((of) => both[0]?.find((entry) => isPrompt(entry) === of)?.[0] ?? NaN);
    const [first] = both[0] ?? [];
    assertEquals(first !== undefined && isPrompt(first), prompt === Number(stream) + 1);
  }
});

Deno.test("Scheduler fills gaps between many answers, and nothing of that stays", () => {
  const { scheduler, decoder } = setUp({ parallel: 8, apart: true, contextTokens: 60 });
  const ids = [1, 2, 3, 4, 5, 6, 7, 8];
  // Every second one ends after two tokens.
  for (const id of ids) scheduler.submit(job(id, String.fromCharCode(64 + id), { maxTokens: id % 2 === 0 ? 2 : 30 }));
  const events = run(scheduler);
  const sequencesOf = (batch: [number, number][] | undefined): number[] => batch?.map(([sequence]) => sequence) ?? [];
  assertEquals(sequencesOf(decoder.batches[1]), [0, 1, 2, 3, 4, 5, 6, 7]);
  assertEquals(sequencesOf(decoder.batches.at(-1)), [0, 1, 2, 3, 4, 5, 6]);
  const alone = setUp({ parallel: 8, contextTokens: 60 });
  for (const id of ids) {
    alone.scheduler.submit(job(id, String.fromCharCode(64 + id), { maxTokens: id % 2 === 0 ? 2 : 30 }));
  }
  const plain = run(alone.scheduler);
  assertEquals(ids.map((id) => textOf(events, id)), ids.map((id) => textOf(plain, id)));
  assertEquals(decoder.sequences, alone.decoder.sequences);
  assertEquals(sequencesOf(alone.decoder.batches.at(-1)), [0, 2, 4, 6]);
});

Deno.test("Scheduler reads several long prompts first come first, and no slower than one after the other", () => {
  const ids = [1, 2, 3, 4];
  const ask = (id: number): Job => job(id, String.fromCharCode(96 + id).repeat(700), { maxTokens: 20 });
  const apart = setUpTimed(4);
  for (const id of ids) {
    apart.scheduler.submit(ask(id));
    run(apart.scheduler);
  }
  const together = setUpTimed(4);
  for (const id of ids) together.scheduler.submit(ask(id));
  const times = runTimed(together);
  const firsts = ids.map((id) => timeOf(times, `${id} first`));
  assertEquals(firsts, firsts.toSorted((a, b) => a - b));
  assert(together.now() <= apart.now(), `${together.now()} ms, ${apart.now()} ms apart`);
});

Deno.test("Scheduler fills what the end of a long prompt leaves of a piece with the next prompt", () => {
  const { scheduler, decoder } = setUpTimed(3);
  scheduler.submit(job(1, "p".repeat(522), { maxTokens: 5 }));
  scheduler.submit(job(2, "q".repeat(300), { maxTokens: 5 }));
  scheduler.step();
  scheduler.step();
  const [first, second] = decoder.batches.map((batch) => batch.map(([sequence]) => sequence));
  assertEquals([first?.length, new Set(first).size], [512, 1]);
  assert(second !== undefined && second.length > 60, `${second?.length}`);
  assertEquals(second.slice(0, 10).every((sequence) => sequence === second[0]), true);
  assertEquals(new Set(second).size, 2);
});

Deno.test("Scheduler gives prompts that share a step with separate cells what one pass computes, and whole tiles", () => {
  const { scheduler, decoder, pass } = setUpTimed(4, true);
  scheduler.submit(job(1, "!", { maxTokens: 60 }));
  pass(20);
  // It has more than its first token.
  scheduler.step();
  scheduler.step();
  const before = decoder.batches.length;
  // Ends of similar length are read whole; a longer prompt has as many tokens as its neighbour, or whole tiles more.
  for (const [id, prompt] of [["p", 30], ["q", 40], ["r", 300]].entries()) {
    scheduler.submit(job(id + 2, String(prompt[0]).repeat(Number(prompt[1])), { maxTokens: 1 }));
  }
  run(scheduler);
  const [first] = decoder.batches.slice(before);
  const counts = [..."pqr"].map((letter) => first?.filter(([, token]) => token === letter.charCodeAt(0)).length ?? NaN);
  assertEquals([counts[0], counts[1], (Number(counts[2]) - 40) % 64], [30, 40, 0]);
});

Deno.test("Scheduler lets a short prompt share a step with separate cells if the other one keeps a whole tile", () => {
  for (const [length, together] of [[70, false], [80, true]] as const) {
    const { scheduler, decoder, pass } = setUpTimed(4, true);
    scheduler.submit(job(1, "!", { maxTokens: 60 }));
    pass(20);
    // Until it is known how long prompts take.
    scheduler.submit(job(9, "x".repeat(600), { maxTokens: 1 }));
    while (!scheduler.step().some(({ id }) => id === 9));
    const before = decoder.batches.length;
    scheduler.submit(job(2, "p".repeat(length), { maxTokens: 1 }));
    scheduler.submit(job(3, "q".repeat(10), { maxTokens: 1 }));
    run(scheduler);
    const counts = decoder.batches.slice(before).slice(0, 2).map((batch) =>
      [..."pq"].map((letter) => batch.filter(([, token]) => token === letter.charCodeAt(0)).length)
    );
    assertEquals(counts, together ? [[length, 10], [0, 0]] : [[length, 0], [0, 10]]);
  }
});

/** Submit requests at once, with prompts of 30 tokens. */
function submitBurst(scheduler: Scheduler, letters: string): void {
  for (const [id, letter] of [...letters].entries()) scheduler.submit(job(id, letter.repeat(30), { maxTokens: 1 }));
}

Deno.test("Scheduler waits a moment for the rest of a burst that is as long as the last one", () => {
  const { scheduler, decoder, pass } = setUpTimed(8, true);
  pass(100);
  submitBurst(scheduler, "abcdefgh");
  run(scheduler);
  pass(100);
  const before = decoder.batches.length;
  submitBurst(scheduler, "ijklmno");
  pass(7);
  assertEquals([scheduler.busyIn, scheduler.step(), decoder.batches.length - before], [1, [], 0]);
  pass(1);
  assertEquals(scheduler.busyIn, 0);
  run(scheduler);
  pass(100);
  // All that are expected are there, perhaps more follow.
  submitBurst(scheduler, "qrstuvw");
  assertEquals(scheduler.busyIn, 2);
  pass(1);
  scheduler.submit(job(7, "x".repeat(30), { maxTokens: 1 }));
  assertEquals(scheduler.busyIn, 0);
});

Deno.test("Scheduler waits for a burst 20 ms at most, for a second request 2 ms, and beside nothing else", () => {
  const long = setUpTimed(8, true);
  long.pass(100);
  submitBurst(long.scheduler, "abcdefgh");
  run(long.scheduler);
  long.pass(100);
  for (let id = 0; id < 6; id++) {
    long.scheduler.submit(job(id, "p".repeat(40)));
    if (id === 0) assertEquals(long.scheduler.busyIn, 8);
    long.pass(3.5);
  }
  assertEquals(long.scheduler.busyIn, 0);
  long.scheduler.step();
  long.pass(100);
  long.scheduler.submit(job(9, "q".repeat(40)));
  assertEquals(long.scheduler.busyIn, 0);
  // A prompt that takes as long as the wait waits for no other.
  for (const [letters, waits, rounds] of [[200, 2, 3], [2, 0, 1]] as const) {
    const { scheduler, pass } = setUpTimed(8, true);
    for (let round = 0; round < rounds; round++) {
      pass(100);
      scheduler.submit(job(round, "abcd".charAt(round).repeat(letters), { maxTokens: 1 }));
      assertEquals(scheduler.busyIn, waits);
      pass(waits);
      run(scheduler);
    }
  }
});

Deno.test("Scheduler decodes short prompts that no stream waits for in one step", () => {
  const { scheduler, decoder, pass } = setUpTimed(8, true);
  submitBurst(scheduler, "a");
  run(scheduler);
  pass(100);
  submitBurst(scheduler, "bcdefghi");
  pass(20);
  scheduler.step();
  assertEquals(decoder.batches.at(-1)?.length, 8 * 30);
});

Deno.test("Scheduler decodes the prompts of a burst before the answers go on, within what streams are promised", () => {
  for (const [letters, waits] of [["abcdefgh", true], ["abcdefghijklmnop", false]] as const) {
    const { scheduler, decoder, now } = setUpTimed(letters.length, true);
    for (const [id, letter] of [...letters].entries()) {
      scheduler.submit(job(id, letter.repeat(70), { maxTokens: 6 }));
    }
    const arrived = new Map<number, number[]>();
    while (scheduler.busy) {
      for (const event of scheduler.step()) {
        if ("t" in event) arrived.set(event.id, [...arrived.get(event.id) ?? [], now()]);
      }
    }
    for (const times of arrived.values()) {
      assert(times.every((time, at) => at === 0 || time - (times[at - 1] ?? 0) <= 400), `${times}`);
    }
    // The rest of eight prompts takes one more step; of sixteen it takes too long to wait for.
    const [first = [], second = []] = decoder.batches;
    const answered = new Set(first.map(([sequence]) => sequence));
    const goesOn = second.some(([sequence]) => answered.has(sequence));
    assertEquals([goesOn, waits && first.length + second.length === 8 * 70], [!waits, waits]);
  }
});

Deno.test("Scheduler keeps what streams are promised when a long prompt arrives while answers wait for their burst", () => {
  const { scheduler, decoder, now, pass } = setUpTimed(9, true);
  for (let id = 0; id < 8; id++) scheduler.submit(job(id, "abcdefgh".charAt(id).repeat(70), { maxTokens: 6 }));
  pass(20);
  const arrived: number[] = [];
  while (scheduler.busy) {
    const events = scheduler.step();
    if (decoder.batches.length === 2) scheduler.submit(job(9, "p".repeat(1000), { maxTokens: 1 }));
    if (events.some((event) => event.id === 0 && "t" in event)) arrived.push(now());
  }
  assertEquals(Number(decoder.batches[0]?.length) + Number(decoder.batches[1]?.length), 8 * 70);
  assert(arrived.every((time, at) => at === 0 || time - (arrived[at - 1] ?? 0) <= 400), `${arrived}`);
});

Deno.test("Scheduler goes on with answers when the prompts of their burst are paused or take too long", () => {
  const { scheduler, decoder, pass } = setUpTimed(3, true);
  scheduler.submit(job(1, "p".repeat(30)));
  scheduler.submit(job(2, "q".repeat(30)));
  pass(20);
  scheduler.pause(2);
  scheduler.step();
  scheduler.step();
  assertEquals(decoder.batches.map((batch) => batch.length), [30, 1]);
  scheduler.submit(job(3, "r".repeat(1000)));
  const before = decoder.batches.length;
  scheduler.step();
  assert(decoder.batches[before]?.some(([sequence]) => sequence === 0));
});

Deno.test("Scheduler decodes again what was aborted, without what was cancelled meanwhile", () => {
  const { scheduler, decoder } = setUpTimed(3);
  scheduler.submit(job(1, "w"));
  scheduler.step();
  scheduler.submit(job(2, "p".repeat(60), { maxTokens: 3 }));
  scheduler.submit(job(3, "q".repeat(60), { maxTokens: 3 }));
  decoder.failNext = "aborted";
  assertEquals(scheduler.step(), []);
  scheduler.cancel(2);
  const events = run(scheduler);
  assertEquals([textOf(events, 1), textOf(events, 2), textOf(events, 3)], ["yz", "", "rst"]);
  assertEquals(decoder.batches.flat().filter(([, token]) => token === "q".charCodeAt(0)).length, 60);
  assertEquals(decoder.batches.flat().some(([, token]) => token === "p".charCodeAt(0)), false);
});

Deno.test("Scheduler keeps what was to be kept when its decode was aborted", () => {
  const { scheduler, decoder } = setUp({ kept: [Int32Array.from("keep", (letter) => letter.charCodeAt(0))] });
  decoder.failNext = "aborted";
  run(scheduler);
  assertEquals(decoder.sequences[2]?.length, 4);
});

Deno.test("Scheduler tells the decoder of each request that begins", () => {
  const { scheduler, decoder } = setUp({ parallel: 1 });
  for (const id of [1, 2]) scheduler.submit(job(id, "w"));
  scheduler.step();
  assertEquals(decoder.requests, 1);
  run(scheduler);
  assertEquals(decoder.requests, 2);
});
