/**
 * The fields that both generation surfaces share: roles, sampling, length, stop strings and grammars. Defaults and bounds belong
 * to the protocol.
 */
import {
  DEFAULT_MAX_TOKENS,
  DEFAULT_TEMPERATURE,
  MAX_GRAMMAR_ALTERNATIVES,
  MAX_GRAMMAR_BYTES,
  MAX_LOGIT_BIASES,
  MAX_STOP_STRINGS,
  MAX_TEMPERATURE,
  type V1Role,
} from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import { defined } from "../inference/objects.ts";
import type { DefaultedField, GenerationRequest, TokenBias } from "../inference/request.ts";
import {
  type Range,
  readArray,
  readInteger,
  readNonEmptyString,
  readNumber,
  readRecord,
  readString,
  shown,
} from "../pipeline/resolve.ts";

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

const encoder = new TextEncoder();

/** @throws {InvalidRequestError} If it is too large. */
export function readGrammar(value: unknown): string {
  const grammar = readString("grammar", value);
  // UTF-8 takes at least one byte per UTF-16 unit, so long ones can be refused without encoding them.
  const bytes = grammar.length > MAX_GRAMMAR_BYTES ? grammar.length : encoder.encode(grammar).length;
  if (bytes > MAX_GRAMMAR_BYTES) {
    throw new InvalidRequestError(`"grammar" must have at most ${MAX_GRAMMAR_BYTES} bytes, got ${bytes}`);
  }
  const alternatives = grammar.split("|").length - 1;
  if (alternatives > MAX_GRAMMAR_ALTERNATIVES) {
    throw new InvalidRequestError(
      `"grammar" must have at most ${MAX_GRAMMAR_ALTERNATIVES} "|", got ${alternatives}`,
    );
  }
  return grammar;
}

/**
 * Read the fields for sampling, length and stop strings.
 *
 * @throws {InvalidRequestError} If one is invalid.
 */
export function readSampling(
  value: Readonly<Record<string, unknown>>,
): Pick<GenerationRequest, "sampling" | "maxTokens" | "defaulted" | "stop"> {
  const { logit_bias, stop } = value;
  const number = (field: string, range: Range): number | undefined =>
    value[field] === undefined ? undefined : readNumber(field, value[field], range);
  const integer = (field: string, range: Range): number | undefined =>
    value[field] === undefined ? undefined : readInteger(field, value[field], range);
  const defaulted = DEFAULTED.filter((name) => value[name] === undefined);
  return {
    ...(defaulted.length === 0 ? {} : { defaulted }),
    sampling: {
      temperature: number("temperature", TEMPERATURE) ?? DEFAULT_TEMPERATURE,
      topP: number("top_p", TOP_P) ?? DEFAULT_TOP_P,
      topK: integer("top_k", TOP_K) ?? DEFAULT_TOP_K,
      ...defined({
        seed: integer("seed", SEED),
        minP: number("min_p", MIN_P),
        presencePenalty: number("presence_penalty", PENALTY),
        frequencyPenalty: number("frequency_penalty", PENALTY),
        repeatPenalty: number("repeat_penalty", REPEAT_PENALTY),
        logitBias: logit_bias === undefined ? undefined : readLogitBias(logit_bias),
      }),
    },
    maxTokens: Math.min(integer("max_tokens", MAX_TOKENS) ?? DEFAULT_MAX_TOKENS, MAX_INT32),
    stop: stop === undefined ? [] : readStop(stop),
  };
}

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
