/** What is drawn has the model's own distribution, whatever is guessed or forced ahead of it. */
import { assert } from "@std/assert";
import { ModelAnswer } from "../../../../../src/engine/answer/answer.ts";
import { Parser } from "../../../../../src/engine/answer/parser.ts";
import { Draft } from "../../../../../src/engine/generate/ahead/draft.ts";
import type { Job } from "../../../../../src/engine/generate/running.ts";
import { Scheduler } from "../../../../../src/engine/generate/scheduler.ts";
import { parseGbnf } from "../../../../../src/grammar/gbnf.ts";
import { GrammarConstraint } from "../../../../../src/grammar/grammar_constraint.ts";
import type { ForcedTokens } from "../../../../../src/engine/generate/ahead/forced_tokens.ts";
import { doneOf, forced, FunctionDecoder, run, textOf, tokensOf, VOCABULARY, vocabulary } from "./support.ts";

const LETTERS = [..."abcd"];
/** Of the next letter, counted from the one that follows in the alphabet: repetitive, so that guesses come true. */
const ODDS = [0.6, 0.2, 0.15, 0.05];
const IMPOSSIBLE = -1e9;
const ANSWERS = 60;
const LENGTH = 120;
/** Of chi-squared with 3 degrees of freedom for each letter, 12 in all, one in a thousand is larger. */
const UNLIKELY = 32.9;

function oddsOf(before: string, letter: string): number {
  const distance = LETTERS.indexOf(letter) - LETTERS.indexOf(before) - 1;
  return ODDS[(distance + 2 * LETTERS.length) % LETTERS.length] as number;
}

/** Depends on the last letter; other characters mean nothing to it. */
function logitsAfter(tokens: readonly number[]): Float32Array {
  const before =
    LETTERS.find((letter) =>
      letter.charCodeAt(0) === tokens.findLast((token) => LETTERS.includes(String.fromCharCode(token)))
    ) ?? "a";
  const row = new Float32Array(VOCABULARY).fill(IMPOSSIBLE);
  for (const letter of LETTERS) row[letter.charCodeAt(0)] = Math.log(oddsOf(before, letter));
  return row;
}

function job(seed: number, gbnf: string | undefined): Job {
  const parser = new Parser({ dialect: {}, start: "text", calls: "ignore", tools: new Map(), stop: [], ends: [] });
  const bound = gbnf === undefined ? {} : {
    binding: {
      whole: () => new GrammarConstraint(parseGbnf(gbnf), { ...vocabulary, ends: vocabulary.endsAnswer }),
    },
    forward: (...from: Parameters<ForcedTokens["of"]>) => forced.of(...from),
  };
  return {
    id: 1,
    prompt: tokensOf("abcdabcdabcd"),
    sampling: { temperature: 1, topP: 1, topK: 0, seed },
    maxTokens: LENGTH,
    answer: new ModelAnswer({ id: 1, vocabulary, parser, endTokens: new Set(), ...bound }),
  };
}

interface Drawn {
  /** How far the letters are from the model's distribution. */
  readonly chiSquared: number;
  readonly drafted: number;
  readonly accepted: number;
  readonly forced: number;
}

/** Many answers, with other seeds. */
function draw(options: { readonly guesses: number; readonly gbnf?: string; readonly drafts?: boolean }): Drawn {
  const counts = new Map<string, number>();
  const sums = { drafted: 0, accepted: 0, forced: 0 };
  for (let seed = 1; seed <= ANSWERS; seed++) {
    const scheduler = new Scheduler({
      decoder: new FunctionDecoder(logitsAfter),
      parallel: 1,
      contextTokens: 1000,
      guesses: options.guesses,
      now: () => 0,
      ...(options.drafts
        ? {
          draft: new Draft({
            decoder: new FunctionDecoder(logitsAfter),
            contextTokens: 1000,
            vocabulary: VOCABULARY,
            now: () => 0,
          }),
        }
        : {}),
    });
    scheduler.submit(job(seed, options.gbnf));
    const events = run(scheduler);
    const { drafted = 0, accepted = 0, forced = 0 } = doneOf(events);
    sums.drafted += drafted;
    sums.accepted += accepted;
    sums.forced += forced;
    let before = "d";
    for (const letter of textOf(events)) {
      if (!LETTERS.includes(letter)) continue;
      counts.set(before + letter, (counts.get(before + letter) ?? 0) + 1);
      before = letter;
    }
  }
  let chiSquared = 0;
  for (const before of LETTERS) {
    const all = LETTERS.reduce((sum, letter) => sum + (counts.get(before + letter) ?? 0), 0);
    for (const letter of LETTERS) {
      const expected = all * oddsOf(before, letter);
      chiSquared += ((counts.get(before + letter) ?? 0) - expected) ** 2 / expected;
    }
  }
  return { chiSquared, ...sums };
}

Deno.test("Scheduler draws from the model's distribution when it guesses what comes next", () => {
  const { chiSquared, drafted, accepted } = draw({ guesses: 8 });
  // Enough of both kinds to show if either counted for more than it should.
  assert(accepted > 500 && drafted - accepted > 500, `${accepted} of ${drafted}`);
  assert(chiSquared < UNLIKELY, `${chiSquared}`);
});

Deno.test("Scheduler draws from the model's distribution when a draft model guesses what comes next", () => {
  const { chiSquared, drafted, accepted } = draw({ guesses: 8, drafts: true });
  // More than what came before alone would tell.
  assert(drafted > draw({ guesses: 8 }).drafted && accepted > 500, `${accepted} of ${drafted}`);
  assert(chiSquared < UNLIKELY, `${chiSquared}`);
});

Deno.test("Scheduler draws from the model's distribution when a grammar forces what is between", () => {
  const { chiSquared, forced } = draw({ guesses: 0, gbnf: 'root ::= ([abcd] "--->")+' });
  assert(forced > 1000, `${forced}`);
  assert(chiSquared < UNLIKELY, `${chiSquared}`);
});

Deno.test("Scheduler draws from the model's distribution when it guesses beside what a grammar forces", () => {
  const { chiSquared, drafted, forced } = draw({ guesses: 8, gbnf: 'root ::= ([abcd] "--->")+' });
  assert(forced > 500 && drafted > 500, `${drafted}, ${forced}`);
  assert(chiSquared < UNLIKELY, `${chiSquared}`);
});
