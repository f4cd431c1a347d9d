import { assert, assertEquals } from "@std/assert";
import { ModelAnswer } from "../../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../../src/engine/answer/parser.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";
import type { Work } from "../../../../../src/work/work.ts";
import { doneOf, END, FunctionDecoder, letterAfter, run, textOf, tokensOf, VOCABULARY } from "./support.ts";

const encoder = new TextEncoder();
const vocabulary = {
  vocabularySize: VOCABULARY,
  piece: (token: number): Uint8Array => encoder.encode(String.fromCharCode(token)),
  pieceText: (token: number): string => String.fromCharCode(token),
  endsAnswer: (token: number): boolean => token === END,
};
/** A token takes this long, and a piece of work too. */
const TOKEN_MS = 1;
const PIECES = 5;

class Ground {
  now = 0;
  pieces = 0;
  readonly decoder = new FunctionDecoder(letterAfter);
  readonly scheduler: Scheduler;

  constructor(parallel = 2, quietMs = 0) {
    this.decoder.onDecode = (tokens): number => this.now += tokens * TOKEN_MS;
    const { decoder } = this;
    this.scheduler = new Scheduler({ decoder, parallel, contextTokens: 1000, quietMs, now: () => this.now });
  }

  /** @param next What the conversation goes on with, given the answer; absent: it cannot be found out. */
  job(id: number, prompt: string, options: { maxTokens?: number; next?: (text: string) => string } = {}): Job {
    const { maxTokens = 4, next } = options;
    const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop: [], ends: [] });
    // deno-lint-ignore no-this-alias
    const ground = this;
    return {
      id,
      prompt: tokensOf(prompt),
      sampling: { temperature: 0, topP: 1, topK: 0 },
      maxTokens,
      answer: new ModelAnswer({ id, vocabulary, parser, endTokens: new Set() }),
      nextTurn: function* ({ text }): Work<Int32Array> {
        for (let piece = 0; piece < PIECES; piece++) {
          ground.pieces++;
          ground.now += TOKEN_MS;
          yield;
        }
        if (next === undefined) throw new TypeError("The template cannot");
        return tokensOf(next(text));
      },
    };
  }
}

const PROMPT = "S.U hello.A";
/** The template replays an answer otherwise than it was generated. */
const replayed = (text: string): string => `S.U hello.A ${"-".repeat(40)} ${text}.U `;

Deno.test("Scheduler prepares the next turn when nobody waits, and it has its message to compute only", () => {
  const ground = new Ground();
  ground.scheduler.submit(ground.job(1, PROMPT, { next: replayed }));
  const text = textOf(run(ground.scheduler));
  const prompt = `${replayed(text)}more.A`;
  const before = ground.decoder.batches.length;
  ground.scheduler.submit(ground.job(2, prompt, { maxTokens: 3, next: replayed }));
  const events = ground.scheduler.step();
  assertEquals(ground.decoder.batches.slice(before), ["more.A".length]);
  const rest = run(ground.scheduler);
  const { cached, prepared } = doneOf(rest, 2);
  assertEquals(cached, replayed(text).length);
  assertEquals(prepared, replayed(text).length - PROMPT.length);
  // The same as without.
  const fresh = new Ground();
  fresh.scheduler.submit(fresh.job(2, prompt, { maxTokens: 3 }));
  assertEquals(textOf([...events, ...rest], 2), textOf(run(fresh.scheduler), 2));
});

Deno.test("Scheduler prepares nothing for a client that asks again at once", () => {
  const ground = new Ground(2, 25);
  const { scheduler, decoder } = ground;
  assertEquals(scheduler.busyIn, undefined);
  for (let id = 1; id <= 3; id++) {
    scheduler.submit(ground.job(id, PROMPT, { next: replayed }));
    assertEquals(scheduler.busyIn, 0);
    run(scheduler);
    assertEquals([scheduler.busyIn, ground.pieces], [25, 0]);
    ground.now += 24;
    assertEquals([scheduler.busy, scheduler.busyIn, scheduler.step()], [false, 1, []]);
  }
  ground.now += 1;
  assertEquals([scheduler.busy, scheduler.busyIn], [true, 0]);
  run(scheduler);
  assertEquals([decoder.tokensOf(0).length, scheduler.busyIn], [replayed("abcd").length, undefined]);
});

Deno.test("Scheduler ends preparing a next turn at once when a request comes", () => {
  const ground = new Ground();
  const { scheduler, decoder } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: replayed }));
  const yielded: boolean[] = [];
  let came: number | undefined;
  decoder.meanwhile = (): boolean => {
    yielded.push(scheduler.yields);
    if (!scheduler.yields || came !== undefined) return false;
    // It comes in the middle of the step, which takes no longer then.
    came = ground.now;
    return true;
  };
  for (let steps = 0; came === undefined; steps++) {
    assert(steps < 100);
    scheduler.step();
  }
  assertEquals(yielded, [false, false, false, false, true]);
  assertEquals(decoder.tokensOf(0).length, PROMPT.length);
  const before = decoder.batches.length;
  scheduler.submit(ground.job(2, "x", { maxTokens: 2, next: replayed }));
  scheduler.step();
  // Nothing else is decoded before it, nor beside it.
  assertEquals([decoder.batches.slice(before), ground.now - came], [[1], TOKEN_MS]);
  const events = scheduler.step();
  assertEquals([doneOf(events, 2).completion, ground.now - came], [2, 2 * TOKEN_MS]);
  // Later it goes on.
  run(scheduler);
  assertEquals(decoder.tokensOf(0).length, replayed("abcd").length);
});

Deno.test("Scheduler finds out what the next turn begins with in pieces, and a request that comes waits for one at most", () => {
  const ground = new Ground();
  const { scheduler } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: replayed }));
  while (ground.pieces === 0) scheduler.step();
  assertEquals(ground.pieces, 1);
  scheduler.submit(ground.job(2, "x", { maxTokens: 50, next: replayed }));
  for (let steps = 0; steps < 49; steps++) scheduler.step();
  assertEquals(ground.pieces, 1);
});

Deno.test("Scheduler decodes nothing for a next turn while another stream runs", () => {
  const ground = new Ground();
  const { scheduler, decoder } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: replayed }));
  scheduler.submit(ground.job(2, "other", { maxTokens: 30, next: replayed }));
  for (let steps = 0; steps < 29; steps++) scheduler.step();
  assertEquals([ground.pieces, decoder.tokensOf(0).length], [0, PROMPT.length + 3]);
});

Deno.test("Scheduler takes what was decoded of a next turn for the request that needs its slot", () => {
  const ground = new Ground(1);
  const { scheduler, decoder } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: replayed }));
  let text = "";
  while (decoder.tokensOf(0).length <= PROMPT.length + 4) text += textOf(scheduler.step());
  const held = decoder.tokensOf(0).length;
  assert(held < replayed(text).length);
  scheduler.submit(ground.job(2, `${replayed(text)}more.A`, { next: replayed }));
  assertEquals(doneOf(run(scheduler), 2).cached, held);
});

Deno.test("Scheduler prepares no next turn when there is no room for it, or it cannot be found out", () => {
  const ground = new Ground();
  const { scheduler, decoder } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: () => `S.${"x".repeat(20_000)}` }));
  scheduler.submit(ground.job(2, "other"));
  run(scheduler);
  assertEquals([decoder.tokensOf(0).length, decoder.tokensOf(1).length], [PROMPT.length + 3, "other".length + 3]);
});

Deno.test("Scheduler leaves a slot as it is when it holds all that the next turn begins with", () => {
  const ground = new Ground();
  const { scheduler, decoder } = ground;
  scheduler.submit(ground.job(1, PROMPT, { next: (text) => PROMPT + text.slice(0, 2) }));
  run(scheduler);
  assertEquals(decoder.tokensOf(0).length, PROMPT.length + 3);
});

Deno.test("Scheduler prepares no next turn of a request that was cancelled", () => {
  const ground = new Ground();
  const { scheduler } = ground;
  scheduler.submit(ground.job(1, PROMPT, { maxTokens: 50, next: replayed }));
  scheduler.step();
  scheduler.cancel(1);
  run(scheduler);
  assertEquals(ground.pieces, 0);
});
