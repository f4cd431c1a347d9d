import { assert, assertEquals } from "@std/assert";
import { AnswerTimes, PromptPace } from "../../../../src/engine/generate/prompt_pace.ts";

/** Take steps as large as the time allows; returns their tokens. */
function steps(
  pace: PromptPace,
  ms: number,
  { count, takes }: { count: number; takes: (n: number) => number },
): number[] {
  return Array.from({ length: count }, () => {
    const tokens = pace.tokensWithin(ms);
    pace.learn(tokens, takes(tokens));
    return tokens;
  });
}

/** A machine that computes a batch of 512 in 1050 ms, and small ones at a lower rate. */
const usual = (tokens: number): number => 25 + 2 * tokens;

Deno.test("PromptPace begins with a small step, and takes a whole batch once it knows that there is time", () => {
  assertEquals(steps(new PromptPace(), 5000, { count: 3, takes: usual }), [32, 512, 512]);
});

Deno.test("PromptPace comes near the time that a step may take, and not over it", () => {
  const pace = new PromptPace();
  const sizes = steps(pace, 320, { count: 20, takes: usual });
  assertEquals(sizes.filter((tokens) => usual(tokens) > 320), []);
  assertEquals(sizes.slice(-3), [128, 128, 128]);
});

Deno.test("PromptPace knows the rate of small steps and of large ones apart", () => {
  const pace = new PromptPace();
  steps(pace, 5000, { count: 5, takes: usual });
  steps(pace, 320, { count: 20, takes: usual });
  assertEquals([pace.tokensWithin(5000), usual(pace.tokensWithin(320)) <= 320], [512, true]);
});

Deno.test("PromptPace goes on with the smallest step when nothing fits into the time", () => {
  const slow = (tokens: number): number => tokens * 400;
  assertEquals(steps(new PromptPace(), 320, { count: 3, takes: slow }), [32, 16, 16]);
  // Not 512 tokens, which would take minutes.
  assertEquals(steps(new PromptPace(), 5000, { count: 3, takes: slow }), [32, 16, 16]);
});

Deno.test("PromptPace takes smaller steps soon after the machine has become slower, and larger ones when it is fast again", () => {
  const pace = new PromptPace();
  steps(pace, 320, { count: 20, takes: usual });
  const slower = (tokens: number): number => 4 * usual(tokens);
  const sizes = steps(pace, 320, { count: 20, takes: slower });
  // Once it is tried whether a whole tile is faster.
  assertEquals(sizes.slice(4).filter((tokens) => slower(tokens) > 400), [64]);
  const again = steps(pace, 320, { count: 60, takes: usual });
  assertEquals(again.at(-1), 128);
});

Deno.test("PromptPace takes whole tiles, one as long as that takes little longer than asked", () => {
  // Behind a context that grows.
  let context = 0;
  const pace = new PromptPace();
  const sizes = steps(pace, 320, {
    count: 40,
    takes: (tokens) => {
      const ms = 25 +
        (tokens < 64 ? tokens * (2 + context / 300) : Math.ceil(tokens / 64) * 64 * (1.9 + context / 1000));
      context += tokens;
      return ms;
    },
  });
  assertEquals(new Set(sizes.slice(1)), new Set([64]));
  // Until it is too long by far.
  assert(context > 2400);
  // Then it is only tried now and then.
  const slow = steps(pace, 320, { count: 40, takes: (tokens) => 8 * tokens });
  assert(slow.filter((tokens) => tokens >= 64).length <= 4);
});

Deno.test("PromptPace comes back to steps of 64 tokens where smaller ones take longer", () => {
  // Attention over a long context: in tiles a token costs half as much.
  const deep = (tokens: number): number => tokens < 64 ? tokens * 9 : tokens * 4.2;
  const pace = new PromptPace();
  // Other processes were busy.
  steps(pace, 320, { count: 20, takes: (tokens) => 4 * deep(tokens) });
  assertEquals(pace.tokensWithin(320), 16);
  const sizes = steps(pace, 320, { count: 60, takes: deep });
  assertEquals(sizes.slice(50).filter((tokens) => tokens < 64 || deep(tokens) > 400), []);
});

Deno.test("AnswerTimes knows steps by their number of answers, and takes the next smaller one for an unknown", () => {
  const times = new AnswerTimes();
  assertEquals(times.of(3), 0);
  times.learn(2, 20);
  times.learn(4, 40);
  times.learn(4, 80);
  assertEquals([1, 2, 3, 4, 8].map((answers) => times.of(answers)), [0, 20, 20, 50, 50]);
});
