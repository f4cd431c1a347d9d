/**
 * The fields that both generation surfaces share: roles, sampling, length, stop strings and grammars. Defaults and bounds belong
 * to the protocol.
 */
import {
  DEFAULT_MAX_TOKENS,
  DEFAULT_TEMPERATURE,
  DEFAULT_TOP_K,
  DEFAULT_TOP_P,
  MAX_GRAMMAR_ALTERNATIVES,
  MAX_GRAMMAR_BYTES,
  MAX_LOGIT_BIASES,
  MAX_MESSAGES,
  MAX_STOP_STRINGS,
  SAMPLING_LIMITS,
  type V1Role,
} from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import { defined } from "../inference/objects.ts";
import type { DefaultedField, GenerationRequest, TokenBias } from "../inference/request.ts";
import { readArray, readNonEmptyString, readNumber, readRecord, readString, shown } from "../pipeline/resolve.ts";

export const ROLES: readonly V1Role[] = ["system", "user", "assistant"];

const DEFAULTED: readonly DefaultedField[] = ["temperature", "top_p", "top_k", "max_tokens"];

/** The largest count the engine's native side can hold, far above any real one. */
const MAX_INT32 = 2 ** 31 - 1;

/** Keys of `logit_bias` are numbers; zeros may come before them. */
const MAX_TOKEN_LENGTH = 64;

const encoder = new TextEncoder();

/**
 * @param count Messages, and their blocks, so far.
 * @throws {InvalidRequestError} If there are too many: reading them takes long, and no context has room for so many.
 */
export function checkMessages(count: number): void {
  if (count <= MAX_MESSAGES) return;
  throw new InvalidRequestError(`"messages" must have at most ${MAX_MESSAGES} messages and blocks, this one has more`);
}

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
  const number = (field: keyof typeof SAMPLING_LIMITS): number | undefined =>
    value[field] === undefined ? undefined : readNumber(field, value[field], SAMPLING_LIMITS[field]);
  const defaulted = DEFAULTED.filter((name) => value[name] === undefined);
  return {
    ...(defaulted.length === 0 ? {} : { defaulted }),
    sampling: {
      temperature: number("temperature") ?? DEFAULT_TEMPERATURE,
      topP: number("top_p") ?? DEFAULT_TOP_P,
      topK: number("top_k") ?? DEFAULT_TOP_K,
      ...defined({
        seed: number("seed"),
        minP: number("min_p"),
        presencePenalty: number("presence_penalty"),
        frequencyPenalty: number("frequency_penalty"),
        repeatPenalty: number("repeat_penalty"),
        logitBias: logit_bias === undefined ? undefined : readLogitBias(logit_bias),
      }),
    },
    maxTokens: Math.min(number("max_tokens") ?? DEFAULT_MAX_TOKENS, MAX_INT32),
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
    const token = key.length > MAX_TOKEN_LENGTH ? NaN : Number(key);
    if (!(token <= MAX_INT32) || !/^\d+$/.test(key)) {
      throw new InvalidRequestError(`"logit_bias" must have ids of tokens as keys, got ${shown(key)}`);
    }
    return [token, readNumber(`logit_bias.${key}`, bias, SAMPLING_LIMITS.logit_bias)];
  });
}

function readStop(value: unknown): string[] {
  return readArray("stop", value, { of: "strings", max: MAX_STOP_STRINGS })
    .map((text, index) => readNonEmptyString(`stop[${index}]`, text));
}
