import { assert, assertEquals } from "@std/assert";
import { ModelAnswer } from "../../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../../src/engine/answer/parser.ts";
import { MOST_GUESSED, Speculation, StepTimes } from "../../../../../src/engine/generate/ahead/speculation.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";
import { parseGbnf } from "../../../../../src/grammar/gbnf.ts";
import { GrammarConstraint } from "../../../../../src/grammar/grammar_constraint.ts";
import type { EngineEvent } from "../../../../../src/engine/ipc/messages.ts";
import { doneOf, forced, FunctionDecoder, type Next, run, textOf, tokensOf, vocabulary } from "./support.ts";

Deno.test("Speculation guesses more while guesses come true, and as many as did when they do not", () => {
  const speculation = new Speculation();
  assertEquals(speculation.most(), 3);
  speculation.learn(3, 3, 1);
  assertEquals(speculation.most(), 7);
  speculation.learn(7, 7, 1);
  assertEquals(speculation.most(), MOST_GUESSED);
  speculation.learn(15, 15, 1);
  assertEquals(speculation.most(), MOST_GUESSED);
  speculation.learn(15, 4, 1);
  assertEquals(speculation.most(), 7);
  speculation.learn(7, 3, 1);
  assertEquals(speculation.most(), 3);
});

Deno.test("Speculation rests longer each time that a step with guesses does not pay, and tries again", () => {
  const speculation = new Speculation();
  const rest = (): number => {
    let steps = 0;
    while (speculation.most() === 0) steps++;
    return steps;
  };
  const rests = Array.from({ length: 7 }, () => {
    speculation.learn(3, 0, 1);
    return rest();
  });
  assertEquals(rests, [8, 16, 32, 64, 128, 256, 256]);
  speculation.learn(3, 3, 1);
  speculation.learn(7, 0, 1);
  assertEquals(rest(), 2);
});

Deno.test("Speculation does not pay when a step takes longer than what it brings", () => {
  const speculation = new Speculation();
  speculation.learn(3, 2, 3);
  assertEquals(speculation.most(), 0);
});

Deno.test("Speculation tries more guesses before it rests when all came true and did not pay", () => {
  const speculation = new Speculation();
  speculation.learn(3, 3, 4);
  assertEquals(speculation.most(), 7);
  speculation.learn(7, 7, 8);
  assertEquals(speculation.most(), MOST_GUESSED);
  speculation.learn(15, 15, 16);
  assertEquals(speculation.most(), 0);
});

Deno.test("StepTimes tells how many steps without guesses a step took the time of", () => {
  const times = new StepTimes();
  assertEquals(times.stepsIn(1, 30), 1);
  times.learn(1, 10);
  times.learn(2, 15);
  assertEquals([times.stepsIn(1, 25), times.stepsIn(2, 30), times.stepsIn(1, 5)], [2.5, 2, 1]);
});

const TEXT = "the owl found a bell under the old bridge and the owl rang it. ";

/** Says the text with a word changed, over and over; which letter comes depends on all that came before. */
const copying: Next = (tokens) => {
  const said = tokens.length - TEXT.length;
  const wanted = TEXT.replace("bell", "ring");
  const right = tokens.slice(TEXT.length).every((token, i) => token === wanted.charCodeAt(i % wanted.length));
  return right ? wanted.charCodeAt(said % wanted.length) : "?".charCodeAt(0);
};
/** Never what came before. */
const wandering: Next = (tokens) => 97 + tokens.reduce((sum, token, at) => (sum * 31 + token * (at + 1)) % 26, 7);

interface Asked {
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly gbnf?: string;
  readonly stop?: readonly string[];
}

function job(id: number, { temperature = 0, maxTokens = 120, gbnf, stop = [] }: Asked = {}): Job {
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop, ends: [] });
  return {
    id,
    prompt: tokensOf(TEXT),
    sampling: { temperature, topP: 1, topK: 0, seed: 5, repeatPenalty: 1.01 },
    maxTokens,
    answer: new ModelAnswer({
      id,
      vocabulary,
      parser,
      endTokens: new Set(),
      forward: (...from) => forced.of(...from),
      binding: gbnf === undefined ? {} : {
        whole: () => new GrammarConstraint(parseGbnf(gbnf), { ...vocabulary, ends: vocabulary.endsAnswer }),
      },
    }),
  };
}

/** What a step takes, and how that grows with its tokens. */
interface Costs {
  readonly stepMs: number;
  readonly tokenMs: number;
}

const CHEAP: Costs = { stepMs: 10, tokenMs: 0.1 };

function play(
  guesses: number,
  next: Next,
  jobs: readonly Job[],
  { stepMs, tokenMs }: Costs = CHEAP,
): { events: EngineEvent[]; decoder: FunctionDecoder; ms: number } {
  const decoder = new FunctionDecoder(next, 4);
  let now = 0;
  decoder.onDecode = (tokens): number => now += stepMs + tokens * tokenMs;
  const scheduler = new Scheduler({ decoder, parallel: 4, contextTokens: 1000, guesses, now: () => now });
  for (const one of jobs) scheduler.submit(one);
  return { events: run(scheduler), decoder, ms: now };
}

Deno.test("Scheduler says the same in fewer steps when it guesses what was said before", () => {
  const without = play(0, copying, [job(1)]);
  const { events, decoder } = play(16, copying, [job(1)]);
  assertEquals(textOf(events), textOf(without.events));
  const { ms: _, drafted = 0, accepted = 0, ...done } = doneOf(events);
  const { ms: __, ...asked } = doneOf(without.events);
  assertEquals(done, asked);
  assert(accepted > 70 && accepted <= drafted, `${accepted} of ${drafted}`);
  assert(decoder.batches.length <= 45, `${decoder.batches.length} steps`);
  // What is left in memory is what was said.
  assertEquals(decoder.tokensOf(0), without.decoder.tokensOf(0));
});

const SAME: readonly (readonly [what: string, asked: Asked, next: Next])[] = [
  ["guesses are wrong", {}, wandering],
  ["tokens are drawn", { temperature: 0.05 }, copying],
  ["tokens are drawn from all there are", { temperature: 3 }, copying],
  ["a stop string comes within a guess", { stop: ["owl ra"] }, copying],
  ["the tokens are used within a guess", { maxTokens: 31 }, copying],
  ["a grammar holds, and forces some of it", { gbnf: `root ::= ("the owl " [a-z .]+ "|")+` }, copying],
  ["a grammar refuses what is likeliest", { gbnf: "root ::= [^b]+" }, copying],
];
for (const [what, asked, next] of SAME) {
  Deno.test(`Scheduler says the same with guesses when ${what}`, () => {
    const without = play(0, next, [job(1, asked)]);
    const { events, decoder } = play(16, next, [job(1, asked)]);
    assertEquals(textOf(events), textOf(without.events));
    assertEquals(doneOf(events).done, doneOf(without.events).done);
    // Whatever was guessed wrong is no longer in memory.
    const [held, expected] = [decoder.tokensOf(0), without.decoder.tokensOf(0)];
    const length = Math.min(held.length, expected.length);
    assertEquals(held.slice(0, length), expected.slice(0, length));
    assert(held.length - length <= 1);
  });
}

Deno.test("Scheduler guesses for two streams at a time, and not for three", () => {
  const two = play(16, copying, [job(1), job(2)]);
  assert((doneOf(two.events, 1).accepted ?? 0) > 70 && (doneOf(two.events, 2).accepted ?? 0) > 70);
  const three = play(16, copying, [job(1), job(2), job(3)]);
  for (const id of [1, 2, 3]) {
    assertEquals([doneOf(three.events, id).drafted, textOf(three.events, id)], [undefined, textOf(two.events, 1)]);
  }
});

Deno.test("Scheduler loses next to nothing with guesses when they do not pay", () => {
  // The same three letters come again and again, and never the same after them.
  const misleading: Next = (tokens) =>
    tokens.length % 4 === 3 ? wandering(tokens) : "abc".charCodeAt(tokens.length % 4);
  const asked = { maxTokens: 600 };
  const without = play(0, misleading, [job(1, asked)]);
  const { events, ms } = play(16, misleading, [job(1, asked)], CHEAP);
  assertEquals(textOf(events), textOf(without.events));
  assert((doneOf(events).drafted ?? 0) > 0);
  assert(ms <= without.ms * 1.02, `${ms} ms, without ${without.ms}`);
  // A machine where each token costs as much as a step.
  const dear: Costs = { stepMs: 0, tokenMs: 10 };
  assert(play(16, copying, [job(1, asked)], dear).ms <= play(0, copying, [job(1, asked)], dear).ms * 1.05);
});

Deno.test("Scheduler goes on with guesses after a batch was given up", () => {
  const decoder = new FunctionDecoder(copying, 1);
  const scheduler = new Scheduler({ decoder, parallel: 1, contextTokens: 1000, guesses: 16, now: () => 0 });
  let batches = 0;
  decoder.meanwhile = (): boolean => ++batches % 5 === 0;
  scheduler.submit(job(1));
  assertEquals(textOf(run(scheduler)), textOf(play(0, copying, [job(1)]).events));
});
