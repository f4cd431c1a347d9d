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
 * @returns The prompts.
 */
export function wordPrompts(length: number): Prompts {
  let count = 0;
  return () => {
    let state = ++count;
    return Array.from({ length }, () => {
      // A linear congruential generator; its upper bits are the random ones.
      state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
      return WORDS[state >>> 28] ?? "";
    }).join(" ");
  };
}
