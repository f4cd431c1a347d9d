/** The flags of the commands that generate: what the model is told first, and how it is sampled. */
import { DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE, MAX_TEMPERATURE } from "@inferd/client/protocol";
import { numberFlag, type ParsedFlags } from "../config/flags.ts";
import type { OwnFlag } from "./command.ts";

/** The flags with a number, and what each allows. */
const LIMITS = {
  "max-tokens": { least: 1, most: 2 ** 31 - 1, whole: true },
  temperature: { least: 0, most: MAX_TEMPERATURE, whole: false },
  seed: { least: 0, most: 2 ** 32 - 2, whole: true },
} as const;

/** What such a command takes. */
export const GENERATION_FLAGS: readonly OwnFlag[] = [
  { flag: "--system TEXT", help: "instructions the model gets before the prompt" },
  { flag: "--max-tokens N", help: `maximum number of tokens to generate (default: ${DEFAULT_MAX_TOKENS})` },
  {
    flag: "--temperature X",
    help: `0 to ${MAX_TEMPERATURE}; 0 always takes the most likely token (default: ${DEFAULT_TEMPERATURE})`,
  },
  { flag: "--seed N", help: "sample repeatably (the same seed usually gives the same answer)" },
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
  const read = (flag: keyof typeof LIMITS): number | undefined => numberFlag(flags, flag, LIMITS[flag]);
  return {
    system: flags.strings.system,
    sampling: { maxTokens: read("max-tokens"), temperature: read("temperature"), seed: read("seed") },
  };
}
