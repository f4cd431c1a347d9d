/** Flags of the commands that generate: system prompt and sampling. */
import type { SamplingOptions } from "@inferd/client";
import { DEFAULT_MAX_TOKENS, DEFAULT_TEMPERATURE, PENALTY_TOKENS, SAMPLING_LIMITS } from "@inferd/client/protocol";
import { limitsText, numberFlag, type ParsedFlags } from "../config/flags.ts";
import type { OwnFlag } from "./command.ts";

/** By flag; a seed is one of the sampler's. */
const LIMITS = {
  ...SAMPLING_LIMITS,
  max_tokens: { ...SAMPLING_LIMITS.max_tokens, max: 2 ** 31 - 1 },
  seed: { min: 0, max: 2 ** 32 - 2, whole: true },
};

const SAMPLING = "Sampling flags";

export const GENERATION_FLAGS: readonly OwnFlag[] = [
  { flag: "--system TEXT", help: "instructions the model gets before the prompt" },
  { flag: "--max-tokens N", help: `maximum number of tokens to generate (default: ${DEFAULT_MAX_TOKENS})` },
  { flag: "--thinking", help: "let the model think first; its thoughts go to stderr, dimmed on a terminal" },
  { flag: "--stats", help: "print tokens per second and the time to the first token, to stderr" },
  { flag: "--raw", help: "print control characters in the answer to a terminal, instead of escaping them" },
  {
    flag: "--temperature X",
    help: `${limitsText(LIMITS.temperature)}; 0 always takes the most likely token (default: ${DEFAULT_TEMPERATURE})`,
    group: SAMPLING,
  },
  { flag: "--seed N", help: "random seed, for repeatable answers", group: SAMPLING },
  { flag: "--stop TEXT", help: "end the answer before this text; may be repeated", repeats: true, group: SAMPLING },
  {
    flag: "--top-p X",
    help: `${limitsText(LIMITS.top_p)}; keep the most likely tokens that have this probability together`,
    group: SAMPLING,
  },
  { flag: "--top-k N", help: "keep the N most likely tokens (0: all)", group: SAMPLING },
  {
    flag: "--min-p X",
    help: `${
      limitsText(LIMITS.min_p)
    }; leave out tokens below this share of the most likely token's probability (default: 0)`,
    group: SAMPLING,
  },
  {
    flag: "--presence-penalty X",
    help: `${limitsText(LIMITS.presence_penalty)}; penalize the last ${PENALTY_TOKENS} tokens (default: 0)`,
    group: SAMPLING,
  },
  {
    flag: "--frequency-penalty X",
    help: `${limitsText(LIMITS.frequency_penalty)}; penalize them once per occurrence (default: 0)`,
    group: SAMPLING,
  },
  {
    flag: "--repeat-penalty X",
    help: `${limitsText(LIMITS.repeat_penalty)}; divide the logits of the last ${PENALTY_TOKENS} tokens (default: 1)`,
    group: SAMPLING,
  },
];

/** Selects the model; `run` has it as an argument. */
export const MODEL_FLAG: OwnFlag = {
  flag: "--model NAME",
  help: "which of the daemon's models answers (default: its first)",
};

/** @throws {UsageError} If a number is out of range. */
export function readGeneration(flags: ParsedFlags): { system: string | undefined; sampling: SamplingOptions } {
  const read = (field: keyof typeof LIMITS): number | undefined =>
    numberFlag(flags, field.replaceAll("_", "-"), LIMITS[field]);
  return {
    system: flags.strings.system,
    sampling: {
      maxTokens: read("max_tokens"),
      temperature: read("temperature"),
      seed: read("seed"),
      topP: read("top_p"),
      topK: read("top_k"),
      stop: flags.lists.stop?.length ? flags.lists.stop : undefined,
      minP: read("min_p"),
      presencePenalty: read("presence_penalty"),
      frequencyPenalty: read("frequency_penalty"),
      repeatPenalty: read("repeat_penalty"),
    },
  };
}
