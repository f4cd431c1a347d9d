/**
 * Prompts of the clients: the same sequence in every run, every prompt different, so that no server has a complete
 * prompt in its cache.
 */
const ANIMALS = "fox bear cat dog rabbit owl mouse duck frog wolf horse crow hen goat otter turtle hedgehog".split(" ");
const MANNERS = "small brave quiet old young clever happy tired curious gentle proud lonely kind shy sleepy".split(" ");
const REQUESTS = ["Tell me a story about", "Write a short story about", "Tell a story about", "I want a story about"];
const WORDS = "apple river stone cloud green table window garden paper silver orange music winter bridge candle forest"
  .split(" ");

/** Returns the next prompt. */
export type Prompts = () => string;

/**
 * Requests for stories, which the built-in model answers with about eighty tokens.
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
 * Random words, for a random model.
 *
 * @param length Words per prompt.
 * @param seed Seeds give different prompts if they differ by at least the number of prompts.
 * @returns The prompts.
 */
export function wordPrompts(length: number, seed = 0): Prompts {
  let count = seed;
  return () => words(length, ++count);
}

/**
 * The same with a shared prefix.
 *
 * @param shared Words of the prefix.
 * @param options.own Words after it.
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
    // A linear congruential generator; only its upper bits are random enough.
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return WORDS[state >>> 28] ?? "";
  }).join(" ");
}
