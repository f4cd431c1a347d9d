import { assert, assertEquals } from "@std/assert";
import { ModelAnswer } from "../../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../../src/engine/answer/parser.ts";
import { type Asked, Draft } from "../../../../../src/engine/generate/ahead/draft.ts";
import type { EngineEvent } from "../../../../../src/engine/ipc/messages.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";
import { doneOf, END, FunctionDecoder, type Next, run, textOf, tokensOf, VOCABULARY } from "./support.ts";

/** A likely letter that depends on all that came before. */
function sure(token: number): Float32Array {
  const row = new Float32Array(VOCABULARY);
  row[token] = 20;
  return row;
}

/** Never the same after the same few letters, so that nothing is to be looked up. */
function letterAfter(tokens: readonly number[], seed: number): number {
  const hash = tokens.reduce((sum, token) => Math.imul(sum ^ token, 0x9e3779b1) ^ (sum >>> 15), seed);
  return 97 + (hash >>> 8) % 26;
}

const target: Next = (tokens) => sure(letterAfter(tokens, 7));
const other: Next = (tokens) => sure(letterAfter(tokens, 8));

function asked(slot: object, text: string, { next = "x", most = 4 } = {}): Asked {
  return { slot, tokens: [...tokensOf(text)], chosen: [...tokensOf(next)], most };
}

/** What the model itself would say. */
function said(text: string, count: number): number[] {
  const tokens = [...tokensOf(text)];
  for (let i = 0; i < count; i++) tokens.push(letterAfter(tokens, 7));
  return tokens.slice(-count);
}

function draftWith(
  options: { readonly next?: Next; readonly contextTokens?: number; readonly vocabulary?: number } = {},
): { draft: Draft; decoder: FunctionDecoder; failures: string[] } {
  const { next = target, contextTokens = 1000, vocabulary = VOCABULARY } = options;
  const decoder = new FunctionDecoder(next);
  const failures: string[] = [];
  const draft = new Draft({
    decoder,
    contextTokens,
    vocabulary,
    now: () => 0,
    onFailure: (reason) => void failures.push(reason),
  });
  return { draft, decoder, failures };
}

Deno.test("Draft guesses what its model says next, for two answers in the same batches", () => {
  const { draft, decoder } = draftWith();
  const [one, two] = [{}, {}];
  const { guesses } = draft.propose([asked(one, "the owl"), asked(two, "a bell", { most: 2 })]);
  assertEquals(guesses, [said("the owlx", 4), said("a bellx", 2)]);
  assertEquals(decoder.batches, [15, 2, 1, 1]);
});

Deno.test("Draft reads only what is new when its guesses came true, and takes back those that did not", () => {
  const { draft, decoder } = draftWith();
  const slot = {};
  const first = draft.propose([asked(slot, "the owl")]).guesses[0] as number[];
  const accepted = String.fromCharCode(...first.slice(0, 3));
  decoder.batches.length = 0;
  // The third was right and the fourth was another.
  assertEquals(draft.propose([asked(slot, `the owlx${accepted}`, { next: "?" })]).guesses, [
    said(`the owlx${accepted}?`, 4),
  ]);
  assertEquals(decoder.batches, [1, 1, 1, 1]);
  // The answer's slot was emptied, and holds another conversation now.
  assertEquals(draft.propose([asked(slot, "the bell")]).guesses, [said("the bellx", 4)]);
  assertEquals(decoder.tokensOf(0).slice(0, 9), [...tokensOf("the bellx")]);
});

Deno.test("Draft keeps what it has read when an answer moves to another slot", () => {
  const { draft, decoder } = draftWith();
  draft.propose([asked({}, "the owl")]);
  decoder.batches.length = 0;
  draft.propose([asked({}, "the owl", { next: "xy" })]);
  assertEquals(decoder.batches[0], 1);
});

Deno.test("Draft reads a long text in portions before it guesses", () => {
  const { draft, decoder } = draftWith();
  const slot = {};
  const text = "the owl found a bell under the old bridge. ".repeat(20);
  let portions = 0;
  let { guesses } = draft.propose([asked(slot, text)]);
  for (; guesses[0]?.length === 0; portions++) guesses = draft.propose([asked(slot, text)]).guesses;
  assertEquals(guesses, [said(`${text}x`, 4)]);
  assert(portions > 1, `${portions}`);
  assert(Math.max(...decoder.batches) < text.length);
});

Deno.test("Draft goes on guessing only while it is sure", () => {
  const { draft } = draftWith({
    next: (tokens) => {
      const row = new Float32Array(VOCABULARY);
      row[letterAfter(tokens, 7)] = tokens.length === 9 ? 1 : 20;
      return row;
    },
  });
  assertEquals(draft.propose([asked({}, "the owl")]).guesses, [said("the owlx", 2)]);
});

Deno.test("Draft guesses nothing behind the end of its context, and no token that only one model knows", () => {
  const { draft } = draftWith({ contextTokens: 10 });
  assertEquals(draft.propose([asked({}, "the owl")]).guesses, [said("the owlx", 2)]);
  assertEquals(draft.propose([asked({}, "the owl found")]).guesses, [[]]);
  const few = draftWith({ vocabulary: 110 });
  assertEquals(few.draft.propose([asked({}, "abc", { next: "z" })]).guesses, [[]]);
  const [guess = []] = few.draft.propose([asked({}, "abc", { next: "d" })]).guesses;
  assert(guess.length > 0 && guess.every((token) => token < 110), `${guess}`);
});

Deno.test("Draft says once that it failed, and guesses nothing from then on", () => {
  const { draft, decoder, failures } = draftWith();
  decoder.onDecode = () => {
    throw new Error("llama_decode failed with status -3");
  };
  for (let i = 0; i < 3; i++) assertEquals(draft.propose([asked({}, "the owl")]).guesses, [[]]);
  assertEquals(failures, ["llama_decode failed with status -3"]);
});

Deno.test("Draft guesses again when a batch of its own was given up", () => {
  const { draft, decoder } = draftWith();
  let batches = 0;
  decoder.meanwhile = (): boolean => ++batches === 2;
  const slot = {};
  assertEquals(draft.propose([asked(slot, "the owl")]).guesses, [said("the owlx", 1)]);
  assertEquals(draft.propose([asked(slot, "the owl")]).guesses, [said("the owlx", 4)]);
});

const vocabulary = {
  vocabularySize: VOCABULARY,
  piece: (token: number): Uint8Array =>
    token === END ? new Uint8Array(0) : new TextEncoder().encode(String.fromCharCode(token)),
  pieceText: (token: number): string => String.fromCharCode(token),
  endsAnswer: (token: number): boolean => token === END,
};

function job(id: number, temperature = 0): Job {
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop: [], ends: [] });
  return {
    id,
    prompt: tokensOf(`the owl number ${id} `),
    sampling: { temperature, topP: 1, topK: 0, seed: 5 },
    maxTokens: 200,
    answer: new ModelAnswer({ id, vocabulary, parser, endTokens: new Set() }),
  };
}

interface Played {
  readonly events: EngineEvent[];
  readonly decoder: FunctionDecoder;
  readonly ms: number;
}

/** A step of the draft takes a tenth of one of the model. */
function play(next: Next, jobs: readonly Job[], draftNext?: Next): Played {
  let now = 0;
  const decoder = new FunctionDecoder(next, 4);
  decoder.onDecode = (tokens): number => now += 10 + tokens * 0.1;
  const draftDecoder = new FunctionDecoder(draftNext ?? next);
  draftDecoder.onDecode = (tokens): number => now += 1 + tokens * 0.01;
  const clock = (): number => now;
  const scheduler = new Scheduler({
    decoder,
    parallel: 4,
    contextTokens: 1000,
    guesses: 16,
    now: clock,
    ...(draftNext === undefined
      ? {}
      : { draft: new Draft({ decoder: draftDecoder, contextTokens: 1000, vocabulary: VOCABULARY, now: clock }) }),
  });
  for (const one of jobs) scheduler.submit(one);
  return { events: run(scheduler), decoder, ms: now };
}

Deno.test("Scheduler says the same in less time when a draft model guesses right", () => {
  for (const jobs of [(): Job[] => [job(1)], (): Job[] => [job(1), job(2)]]) {
    const without = play(target, jobs());
    const drafted = play(target, jobs(), target);
    for (const { id } of jobs()) {
      assertEquals(textOf(drafted.events, id), textOf(without.events, id));
      const { drafted: guessed = 0, accepted = 0 } = doneOf(drafted.events, id);
      assert(accepted === guessed && accepted > 120, `${accepted} of ${guessed}`);
    }
    assert(drafted.ms < without.ms * 0.5, `${drafted.ms} ms, without ${without.ms}`);
  }
});

Deno.test("Scheduler says the same and loses next to nothing when a draft model guesses wrong", () => {
  for (const temperature of [0, 1]) {
    const without = play(target, [job(1, temperature)]);
    const drafted = play(target, [job(1, temperature)], other);
    assertEquals(textOf(drafted.events), textOf(without.events));
    const { drafted: guessed = 0, accepted = 0 } = doneOf(drafted.events);
    assert(guessed > 0 && accepted * 4 < guessed, `${accepted} of ${guessed}`);
    assert(drafted.ms < without.ms * 1.05, `${drafted.ms} ms, without ${without.ms}`);
  }
});

Deno.test("Scheduler asks a draft model for nothing when three answers run", () => {
  const jobs = [job(1), job(2), job(3)];
  const { events } = play(target, jobs, target);
  // The last one alone is guessed, when the others are over.
  for (const { id } of jobs) assertEquals(doneOf(events, id).drafted, undefined);
});
