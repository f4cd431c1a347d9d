/**
 * What the clients ask: the same sequence in every run, every prompt another one, so that no server has its answer or
 * the whole of its prompt from an earlier request.
 */
const ANIMALS = "fox bear cat dog rabbit owl mouse duck frog wolf horse crow hen goat otter turtle hedgehog".split(" ");
const MANNERS = "small brave quiet old young clever happy tired curious gentle proud lonely kind shy sleepy".split(" ");
const REQUESTS = ["Tell me a story about", "Write a short story about", "Tell a story about", "I want a story about"];
const WORDS = "apple river stone cloud green table window garden paper silver orange music winter bridge candle forest"
  .split(" ");

/** Gives the next prompt. */
export type Prompts = () => string;

/**
 * Requests for stories, which the built-in model answers with some eighty tokens.
 *
 * @returns The prompts.
 */
export function storyPrompts(): Prompts {
  let count = 0;
  return () => {
    const index = count++;
    const pick = (choices: readonly string[], every: number): string =>
      choices[Math.floor(index / every) % choices.length] ?? "";
    const animal = pick(ANIMALS, 1);
    const manner = pick(MANNERS, ANIMALS.length);
    const request = pick(REQUESTS, ANIMALS.length * MANNERS.length);
    return `${request} ${/^[aeiou]/.test(manner) ? "an" : "a"} ${manner} ${animal}.`;
  };
}

/**
 * Words without sense, for a model without sense.
 *
 * @param length Words in each prompt.
 * @param seed Prompts of another seed are others, unless it is less than their number away.
 * @returns The prompts.
 */
export function wordPrompts(length: number, seed = 0): Prompts {
  let count = seed;
  return () => words(length, ++count);
}

/**
 * The same, with a beginning that all of them share.
 *
 * @param shared Words of the beginning.
 * @param options.own Words that follow.
 * @param options.seed As for {@linkcode wordPrompts}.
 * @returns The prompts.
 */
export function sharedPrompts(shared: number, { own, seed }: { readonly own: number; readonly seed: number }): Prompts {
  const beginning = words(shared, seed);
  const rest = wordPrompts(own, seed);
  return () => `${beginning} ${rest()}`;
}

function words(length: number, seed: number): string {
  let state = seed;
  return Array.from({ length }, () => {
    // A linear congruential generator; its upper bits are the random ones.
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return WORDS[state >>> 28] ?? "";
  }).join(" ");
}
