/** Flags of the commands that generate: system prompt and sampling. */
import { DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE, MAX_TEMPERATURE } from "@inferd/client/protocol";
import { numberFlag, type ParsedFlags } from "../config/flags.ts";
import type { OwnFlag } from "./command.ts";

const LIMITS = {
  "max-tokens": { least: 1, most: 2 ** 31 - 1, whole: true },
  temperature: { least: 0, most: MAX_TEMPERATURE, whole: false },
  seed: { least: 0, most: 2 ** 32 - 2, whole: true },
  "top-p": { least: 0, most: 1, whole: false, above: true },
  "top-k": { least: 0, most: 2 ** 31 - 1, whole: true },
  "min-p": { least: 0, most: 1, whole: false },
  "presence-penalty": { least: -2, most: 2, whole: false },
  "frequency-penalty": { least: -2, most: 2, whole: false },
  "repeat-penalty": { least: 0, most: 2, whole: false, above: true },
} as const;

const SAMPLING = "Sampling flags";

export const GENERATION_FLAGS: readonly OwnFlag[] = [
  { flag: "--system TEXT", help: "instructions the model gets before the prompt" },
  { flag: "--max-tokens N", help: `maximum number of tokens to generate (default: ${DEFAULT_MAX_TOKENS})` },
  { flag: "--thinking", help: "let the model think first; its thoughts go to stderr, dimmed on a terminal" },
  { flag: "--stats", help: "print tokens per second and the time to the first token, to stderr" },
  { flag: "--raw", help: "print control characters in the answer to a terminal, instead of escaping them" },
  {
    flag: "--temperature X",
    help: `0 to ${MAX_TEMPERATURE}; 0 always takes the most likely token (default: ${DEFAULT_TEMPERATURE})`,
    group: SAMPLING,
  },
  { flag: "--seed N", help: "random seed, for repeatable answers", group: SAMPLING },
  { flag: "--stop TEXT", help: "end the answer before this text; may be repeated", repeats: true, group: SAMPLING },
  {
    flag: "--top-p X",
    help: "above 0, at most 1; keep the most likely tokens that have this probability together",
    group: SAMPLING,
  },
  { flag: "--top-k N", help: "keep the N most likely tokens (0: all)", group: SAMPLING },
  {
    flag: "--min-p X",
    help: "0 to 1; leave out tokens below this share of the most likely token's probability (default: 0)",
    group: SAMPLING,
  },
  { flag: "--presence-penalty X", help: "-2 to 2; penalize the last 64 tokens (default: 0)", group: SAMPLING },
  {
    flag: "--frequency-penalty X",
    help: "-2 to 2; penalize them once per occurrence (default: 0)",
    group: SAMPLING,
  },
  {
    flag: "--repeat-penalty X",
    help: "above 0, at most 2; divide the logits of the last 64 tokens (default: 1)",
    group: SAMPLING,
  },
];

/** Selects the model; `run` has it as an argument. */
export const MODEL_FLAG: OwnFlag = {
  flag: "--model NAME",
  help: "which of the daemon's models answers (default: its first)",
};

/** Sampling parameters under the names used in requests. */
export interface SamplingFlags {
  readonly maxTokens: number | undefined;
  readonly temperature: number | undefined;
  readonly seed: number | undefined;
  readonly topP: number | undefined;
  readonly topK: number | undefined;
  readonly stop: readonly string[] | undefined;
  readonly minP: number | undefined;
  readonly presencePenalty: number | undefined;
  readonly frequencyPenalty: number | undefined;
  readonly repeatPenalty: number | undefined;
}

/** @throws {UsageError} If a number is out of range. */
export function readGeneration(flags: ParsedFlags): { system: string | undefined; sampling: SamplingFlags } {
  const read = (flag: keyof typeof LIMITS): number | undefined => numberFlag(flags, flag, LIMITS[flag]);
  return {
    system: flags.strings.system,
    sampling: {
      maxTokens: read("max-tokens"),
      temperature: read("temperature"),
      seed: read("seed"),
      topP: read("top-p"),
      topK: read("top-k"),
      stop: flags.lists.stop?.length ? flags.lists.stop : undefined,
      minP: read("min-p"),
      presencePenalty: read("presence-penalty"),
      frequencyPenalty: read("frequency-penalty"),
      repeatPenalty: read("repeat-penalty"),
    },
  };
}
