/** The flags of the commands that generate: what the model is told first, and how it is sampled. */
import { numberFlag, type ParsedFlags } from "../config/flags.ts";
import type { OwnFlag } from "./command.ts";

const MOST_TOKENS = 2 ** 31 - 1;

/** For `parseFlags`. */
export const GENERATION_STRINGS = ["system", "max-tokens", "temperature", "seed"] as const;

/** For the help. */
export const GENERATION_FLAGS: readonly OwnFlag[] = [
  { flag: "--system TEXT", help: "what the model is told before the prompt" },
  { flag: "--max-tokens N", help: "most tokens of the answer (default: 1000)" },
  { flag: "--temperature X", help: "0 to 2; 0 always takes the likeliest token (default: 1)" },
  { flag: "--seed N", help: "draw tokens repeatably (the same seed usually gives the same answer)" },
];

/** How to sample, as requests name it. */
export interface SamplingFlags {
  readonly maxTokens: number | undefined;
  readonly temperature: number | undefined;
  readonly seed: number | undefined;
}

/**
 * Read these flags.
 *
 * @param flags The parsed command line.
 * @returns What was given.
 * @throws {UsageError} If a number is out of range.
 */
export function readGeneration(flags: ParsedFlags): { system: string | undefined; sampling: SamplingFlags } {
  return {
    system: flags.strings.system,
    sampling: {
      maxTokens: numberFlag(flags, "max-tokens", { least: 1, most: MOST_TOKENS, whole: true }),
      temperature: numberFlag(flags, "temperature", { least: 0, most: 2, whole: false }),
      seed: numberFlag(flags, "seed", { least: 0, most: 2 ** 32 - 2, whole: true }),
    },
  };
}
