/**
 * Cost of sampling from a large vocabulary: the sampler alone, on realistic logits, mostly noise with a few outliers.
 */
import { oddsOf } from "../src/engine/generate/sampling/token_odds.ts";
import { Sampler } from "../src/engine/generate/sampling/sampler.ts";
import type { Sampling } from "../src/inference/request.ts";
import { median, type Row } from "./report.ts";

/** Vocabulary size of Qwen models. */
const VOCABULARY = 151_936;
const SECTION = "Sampler, vocabulary of 151 936";
const ROWS = 2;
const CHOICES = 2_000;
const QUICK_CHOICES = 400;
/** Warm-up iterations, for the JIT compiler. */
const WARM_UP = 500;

const PLAIN: Sampling = { temperature: 1, topP: 1, topK: 0, seed: 1 };

interface Kind {
  readonly name: string;
  readonly sampling: Sampling;
  /** Maximum in microseconds. */
  readonly goal?: number;
}

const KINDS: readonly Kind[] = [
  { name: "greedy", sampling: { ...PLAIN, temperature: 0 } },
  { name: "top_k 64, top_p 0.95", sampling: { ...PLAIN, topK: 64, topP: 0.95 }, goal: 150 },
  { name: "top_p 0.95 alone", sampling: { ...PLAIN, topP: 0.95 }, goal: 250 },
  { name: "min_p 0.05 alone", sampling: { ...PLAIN, minP: 0.05 } },
  {
    name: "top_k 64, top_p 0.95, penalties, 100 biases",
    sampling: {
      ...PLAIN,
      topK: 64,
      topP: 0.95,
      repeatPenalty: 1.1,
      frequencyPenalty: 0.1,
      logitBias: Array.from({ length: 100 }, (_, i) => [i * 1500, -1] as const),
    },
  },
];

/**
 * Measure the sampler.
 *
 * @param options `quick`: fewer choices.
 * @returns The lines of the table.
 */
export function benchSampling({ quick }: { readonly quick: boolean }): Row[] {
  const rows = Array.from({ length: ROWS }, (_, i) => likeAModel(i));
  const choices = quick ? QUICK_CHOICES : CHOICES;
  const prompt = Array.from({ length: 64 }, (_, i) => i * 2000);
  const lines = KINDS.map(({ name, sampling, goal }): Row => {
    const sampler = new Sampler(sampling, prompt);
    return {
      section: SECTION,
      figure: `Choice of a token: ${name}`,
      unit: "µs",
      ours: measure(choices, rows, (row) => sampler.accept(sampler.sample(row))),
      ...(goal === undefined ? {} : { goal: { kind: "at-most", value: goal } }),
    };
  });
  const ours = measure(choices, rows, (row) => oddsOf(row, 7, 20));
  return [...lines, { section: SECTION, figure: "Log-probabilities of a token, 20 alternatives", unit: "µs", ours }];
}

/** Median time of one choice, in microseconds. */
function measure(choices: number, rows: readonly Float32Array[], choose: (row: Float32Array) => void): number {
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + choices; i++) {
    const started = performance.now();
    choose(rows[i % rows.length] as Float32Array);
    if (i >= WARM_UP) times.push((performance.now() - started) * 1000);
  }
  return median(times);
}

function likeAModel(seed: number): Float32Array {
  let state = seed + 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const normal = (): number => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const logits = Float32Array.from({ length: VOCABULARY }, () => 3 * normal());
  for (let i = 0; i < 40; i++) logits[Math.floor(random() * VOCABULARY)] = 20 - 0.4 * i;
  return logits;
}
