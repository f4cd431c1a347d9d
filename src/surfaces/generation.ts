/**
 * What both generation surfaces have under the same names: who speaks, how tokens are chosen, how many, and what ends
 * the answer. Defaults and bounds are the protocol's.
 */
import {
  DEFAULT_MAX_TOKENS,
  DEFAULT_TEMPERATURE,
  MAX_STOP_STRINGS,
  MAX_TEMPERATURE,
  type V1Role,
} from "@inferd/client/protocol";
import type { DefaultedField, GenerationRequest } from "../inference/request.ts";
import { type Range, readArray, readInteger, readNonEmptyString, readNumber } from "../pipeline/resolve.ts";

/** Who may speak in a conversation. */
export const ROLES: readonly V1Role[] = ["system", "user", "assistant"];

const DEFAULT_TOP_P = 0.95;
const DEFAULT_TOP_K = 64;
const DEFAULTED: readonly DefaultedField[] = ["temperature", "top_p", "top_k", "max_tokens"];

/** The largest count the engine's native side can hold; nothing real comes near it. */
const MAX_INT32 = 2 ** 31 - 1;

const TEMPERATURE: Range = { min: 0, max: MAX_TEMPERATURE, text: `a number from 0 to ${MAX_TEMPERATURE}` };
const TOP_P: Range = { min: 0, max: 1, aboveMin: true, text: "a number above 0 and at most 1" };
const TOP_K: Range = { min: 0, max: MAX_INT32, text: `an integer from 0 to ${MAX_INT32}` };
const MAX_TOKENS: Range = { min: 1, max: Number.MAX_VALUE, text: "an integer of at least 1" };
/** What JSON numbers carry exactly: another seed would be taken for its neighbour. */
const SEED: Range = {
  min: Number.MIN_SAFE_INTEGER,
  max: Number.MAX_SAFE_INTEGER,
  text: `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
};

/**
 * Read what is said about sampling, length and end.
 *
 * @param value The request.
 * @throws {InvalidRequestError} If one breaks its rule.
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
    },
    maxTokens: max_tokens === undefined
      ? DEFAULT_MAX_TOKENS
      : Math.min(readInteger("max_tokens", max_tokens, MAX_TOKENS), MAX_INT32),
    stop: stop === undefined ? [] : readStop(stop),
  };
}

function readStop(value: unknown): string[] {
  return readArray("stop", value, { of: "strings", max: MAX_STOP_STRINGS })
    .map((text, index) => readNonEmptyString(`stop[${index}]`, text));
}
