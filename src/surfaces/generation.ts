/**
 * The fields that both generation surfaces share: roles, sampling, length and stop strings. Defaults and bounds belong
 * to the protocol.
 */
import {
  DEFAULT_MAX_TOKENS,
  DEFAULT_TEMPERATURE,
  MAX_LOGIT_BIASES,
  MAX_STOP_STRINGS,
  MAX_TEMPERATURE,
  type V1Role,
} from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import type { DefaultedField, GenerationRequest, Sampling, TokenBias } from "../inference/request.ts";
import {
  type Range,
  readArray,
  readInteger,
  readNonEmptyString,
  readNumber,
  readRecord,
  shown,
} from "../pipeline/resolve.ts";

/** The roles in a conversation. */
export const ROLES: readonly V1Role[] = ["system", "user", "assistant"];

const DEFAULT_TOP_P = 0.95;
const DEFAULT_TOP_K = 64;
const DEFAULTED: readonly DefaultedField[] = ["temperature", "top_p", "top_k", "max_tokens"];

/** The largest count the engine's native side can hold, far above any real one. */
const MAX_INT32 = 2 ** 31 - 1;

const TEMPERATURE: Range = { min: 0, max: MAX_TEMPERATURE, text: `a number from 0 to ${MAX_TEMPERATURE}` };
const TOP_P: Range = { min: 0, max: 1, aboveMin: true, text: "a number above 0 and at most 1" };
const TOP_K: Range = { min: 0, max: MAX_INT32, text: `an integer from 0 to ${MAX_INT32}` };
const MIN_P: Range = { min: 0, max: 1, text: "a number from 0 to 1" };
const PENALTY: Range = { min: -2, max: 2, text: "a number from -2 to 2" };
const REPEAT_PENALTY: Range = { min: 0, max: 2, aboveMin: true, text: "a number above 0 and at most 2" };
const BIAS: Range = { min: -100, max: 100, text: "a number from -100 to 100" };
const MAX_TOKENS: Range = { min: 1, max: Number.MAX_VALUE, text: "an integer of at least 1" };
/** Integers that JSON numbers represent exactly: a larger seed would be rounded. */
const SEED: Range = {
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
  text: `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
};

/**
 * Read the fields for sampling, length and stop strings.
 *
 * @param value The request.
 * @throws {InvalidRequestError} If one is invalid.
 */
export function readSampling(
  value: Readonly<Record<string, unknown>>,
): Pick<GenerationRequest, "sampling" | "maxTokens" | "defaulted" | "stop"> {
  const { temperature, top_p, top_k, max_tokens, seed, stop } = value;
  const defaulted = DEFAULTED.filter((name) => value[name] === undefined);
  return {
    ...(defaulted.length === 0 ? {} : { defaulted }),
    sampling: {
      temperature: temperature === undefined
        ? DEFAULT_TEMPERATURE
        : readNumber("temperature", temperature, TEMPERATURE),
      topP: top_p === undefined ? DEFAULT_TOP_P : readNumber("top_p", top_p, TOP_P),
      topK: top_k === undefined ? DEFAULT_TOP_K : readInteger("top_k", top_k, TOP_K),
      ...(seed === undefined ? {} : { seed: readInteger("seed", seed, SEED) }),
      ...readAdjustments(value),
    },
    maxTokens: max_tokens === undefined
      ? DEFAULT_MAX_TOKENS
      : Math.min(readInteger("max_tokens", max_tokens, MAX_TOKENS), MAX_INT32),
    stop: stop === undefined ? [] : readStop(stop),
  };
}

/** Values of fields that are off by default. */
function readAdjustments(value: Readonly<Record<string, unknown>>): Partial<Sampling> {
  const { min_p, presence_penalty, frequency_penalty, repeat_penalty, logit_bias } = value;
  return {
    ...(min_p === undefined ? {} : { minP: readNumber("min_p", min_p, MIN_P) }),
    ...(presence_penalty === undefined
      ? {}
      : { presencePenalty: readNumber("presence_penalty", presence_penalty, PENALTY) }),
    ...(frequency_penalty === undefined
      ? {}
      : { frequencyPenalty: readNumber("frequency_penalty", frequency_penalty, PENALTY) }),
    ...(repeat_penalty === undefined
      ? {}
      : { repeatPenalty: readNumber("repeat_penalty", repeat_penalty, REPEAT_PENALTY) }),
    ...(logit_bias === undefined ? {} : { logitBias: readLogitBias(logit_bias) }),
  };
}

/** Token ids are strings because they are object keys. */
function readLogitBias(value: unknown): TokenBias[] {
  const entries = Object.entries(readRecord("logit_bias", value));
  if (entries.length > MAX_LOGIT_BIASES) {
    throw new InvalidRequestError(
      `"logit_bias" must have at most ${MAX_LOGIT_BIASES} tokens, got ${entries.length}`,
    );
  }
  return entries.map(([key, bias]): TokenBias => {
    const token = Number(key);
    if (!/^\d+$/.test(key) || token > MAX_INT32) {
      throw new InvalidRequestError(`"logit_bias" must have ids of tokens as keys, got ${shown(key)}`);
    }
    return [token, readNumber(`logit_bias.${key}`, bias, BIAS)];
  });
}

function readStop(value: unknown): string[] {
  return readArray("stop", value, { of: "strings", max: MAX_STOP_STRINGS })
    .map((text, index) => readNonEmptyString(`stop[${index}]`, text));
}
