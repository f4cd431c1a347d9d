import { assert, assertEquals } from "@std/assert";
import { ModelAnswer } from "../../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../../src/engine/answer/parser.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";
import { parseGbnf } from "../../../../../src/grammar/gbnf.ts";
import { GrammarConstraint } from "../../../../../src/grammar/grammar_constraint.ts";
import {
  doneOf,
  END,
  forced,
  FunctionDecoder,
  letterAfter,
  run,
  textOf,
  tokensOf,
  VOCABULARY,
  vocabulary,
} from "./support.ts";

interface JobOptions {
  readonly forward?: boolean;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly repeatPenalty?: number;
}

function job(id: number, gbnf: string, options: JobOptions = {}): Job {
  const { forward = true, maxTokens = 100, stop = [], repeatPenalty = 1 } = options;
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop, ends: [] });
  return {
    id,
    prompt: tokensOf("ask"),
    sampling: { temperature: 0, topP: 1, topK: 0, repeatPenalty },
    maxTokens,
    answer: new ModelAnswer({
      id,
      vocabulary,
      parser,
      endTokens: new Set(),
      binding: {
        whole: () => new GrammarConstraint(parseGbnf(gbnf), { ...vocabulary, ends: vocabulary.endsAnswer }),
      },
      ...(forward ? { forward: (...from) => forced.of(...from) } : {}),
    }),
  };
}

/** A token takes this long. */
const TOKEN_MS = 10;

function play(...jobs: readonly Job[]): { decoder: FunctionDecoder; events: ReturnType<typeof run> } {
  const decoder = new FunctionDecoder(letterAfter);
  let now = 0;
  decoder.onDecode = (tokens): number => now += tokens * TOKEN_MS;
  const scheduler = new Scheduler({ decoder, parallel: 2, contextTokens: 1000, now: () => now });
  for (const one of jobs) scheduler.submit(one);
  return { decoder, events: run(scheduler) };
}

const OBJECT = String.raw`root ::= "{\"city\":\"" [a-z] [a-z] "\",\"country\":\"" [a-z] "\"}"`;

Deno.test("Scheduler says the same in fewer steps when it does not ask for what a grammar forces", () => {
  const without = play(job(1, OBJECT, { forward: false }));
  const { decoder, events } = play(job(1, OBJECT));
  assertEquals(textOf(events), textOf(without.events));
  const { ms: _, forced = 0, ...done } = doneOf(events);
  const { ms: __, ...asked } = doneOf(without.events);
  assertEquals(done, asked);
  assertEquals(without.decoder.batches.length, 27);
  // Three letters are asked for, and the last token before each; what closes the object is not even decoded.
  assertEquals([forced, decoder.batches.length], [22, 6]);
});

Deno.test("Scheduler decodes nothing but the prompt when a grammar allows one text only", () => {
  const { decoder, events } = play(job(1, 'root ::= "yes"'));
  const { done, completion, forced } = doneOf(events);
  assertEquals([textOf(events), done, completion, forced, decoder.batches], ["yes", "end", 3, 3, [3]]);
});

Deno.test("Scheduler ends what is forced at a stop string, and when the tokens are used", () => {
  const stopped = play(job(1, OBJECT, { stop: ["ty"] }));
  assertEquals([textOf(stopped.events), doneOf(stopped.events).done], ['{"ci', "stop"]);
  const cut = play(job(1, OBJECT, { maxTokens: 4 }));
  const { done, completion } = doneOf(cut.events);
  assertEquals([textOf(cut.events), done, completion], ['{"ci', "length", 4]);
});

Deno.test("Scheduler counts what is forced as what came lately", () => {
  // `b` was forced before, so that the penalty makes another letter likelier.
  const likely = 98;
  const play = (repeatPenalty: number): string => {
    const decoder = new FunctionDecoder(() => likely);
    const scheduler = new Scheduler({ decoder, parallel: 1, contextTokens: 100, now: () => 0 });
    decoder.logits = (): Float32Array => {
      const row = new Float32Array(VOCABULARY);
      row[likely] = 2;
      row[likely + 1] = 1.5;
      return row;
    };
    scheduler.submit(job(1, 'root ::= "ab," [a-z]', { repeatPenalty }));
    return textOf(run(scheduler));
  };
  assertEquals([play(1), play(2)], ["ab,b", "ab,c"]);
});

Deno.test("Scheduler gives other streams their token in each step when much is forced in one", () => {
  const long = `root ::= "${"x".repeat(200)}" [a-z] "${"y".repeat(200)}" [a-z]`;
  const free = "root ::= [a-z]+";
  const { decoder, events } = play(job(1, long, { maxTokens: 500 }), job(2, free, { maxTokens: 40 }));
  assertEquals(doneOf(events, 2).completion, 40);
  const alone = play(job(2, free, { maxTokens: 40 }));
  assertEquals(textOf(events, 2), textOf(alone.events, 2));
  assertEquals(textOf(events), textOf(play(job(1, long, { maxTokens: 500, forward: false })).events));
  assert(decoder.batches.every((tokens) => tokens * TOKEN_MS <= 400), `${decoder.batches}`);
});

Deno.test("Scheduler decodes again what was forced when its batch was given up", () => {
  const decoder = new FunctionDecoder(letterAfter);
  const scheduler = new Scheduler({ decoder, parallel: 2, contextTokens: 1000, now: () => 0 });
  let batches = 0;
  decoder.meanwhile = (): boolean => ++batches === 2;
  scheduler.submit(job(1, OBJECT));
  assertEquals(textOf(run(scheduler)), textOf(play(job(1, OBJECT)).events));
  assertEquals(batches, 7);
});

Deno.test("Scheduler ends an answer at a forced token that ends it", () => {
  const one: Job = {
    ...job(1, "root ::= [a]"),
    answer: {
      constraint: undefined,
      ends: (token) => token === END,
      forced: () => [97, END, 98],
      accept: (token, events) => {
        events.push({ id: 1, t: String.fromCharCode(token) });
        return false;
      },
      finish: () => ({ done: "tool_use" }),
    },
  };
  const { events } = play(one);
  const { done, completion, forced } = doneOf(events);
  assertEquals([textOf(events), done, completion, forced], ["a", "tool_use", 1, 1]);
});
