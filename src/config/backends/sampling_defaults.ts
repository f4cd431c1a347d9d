/** `sampling` of a backend in the configuration file: the fields of a request, with the same limits. */
import { MAX_STOP_STRINGS, MAX_TEMPERATURE } from "@inferd/client/protocol";
import type { SamplingDefaults } from "../../inference/model_settings.ts";

interface Rule {
  readonly name: keyof SamplingDefaults;
  readonly fits: (value: unknown) => boolean;
  readonly what: string;
}

const between = (least: number, most: number): (value: unknown) => boolean => (value) =>
  typeof value === "number" && value >= least && value <= most;
const above = (least: number, most: number): (value: unknown) => boolean => (value) =>
  typeof value === "number" && value > least && value <= most;
const integer = (least: number, most: number): (value: unknown) => boolean => (value) =>
  Number.isSafeInteger(value) && between(least, most)(value);

const MAX_INT32 = 2 ** 31 - 1;

/** By key, which is the field's name on the wire. */
const RULES: Readonly<Record<string, Rule>> = {
  temperature: {
    name: "temperature",
    fits: between(0, MAX_TEMPERATURE),
    what: `a number from 0 to ${MAX_TEMPERATURE}`,
  },
  top_p: { name: "topP", fits: above(0, 1), what: "a number above 0 and at most 1" },
  top_k: { name: "topK", fits: integer(0, MAX_INT32), what: "a whole number of at least 0" },
  min_p: { name: "minP", fits: between(0, 1), what: "a number from 0 to 1" },
  presence_penalty: { name: "presencePenalty", fits: between(-2, 2), what: "a number from -2 to 2" },
  frequency_penalty: { name: "frequencyPenalty", fits: between(-2, 2), what: "a number from -2 to 2" },
  repeat_penalty: { name: "repeatPenalty", fits: above(0, 2), what: "a number above 0 and at most 2" },
  seed: { name: "seed", fits: integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), what: "a whole number" },
  max_tokens: { name: "maxTokens", fits: integer(1, MAX_INT32), what: "a whole number of at least 1" },
  stop: {
    name: "stop",
    fits: (value) =>
      Array.isArray(value) && value.length <= MAX_STOP_STRINGS &&
      value.every((text) => typeof text === "string" && text !== ""),
    what: `at most ${MAX_STOP_STRINGS} texts that are not empty`,
  },
};

export const SAMPLING_KEYS: readonly string[] = Object.keys(RULES);

/** @throws {Error} If a field is unknown or its value is invalid. */
export function samplingDefaults(text: string): SamplingDefaults {
  const given: Readonly<Record<string, unknown>> = JSON.parse(text);
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const rule = Object.hasOwn(RULES, key) ? RULES[key] : undefined;
      if (rule === undefined) throw new Error(`has no key "${key}", only ${SAMPLING_KEYS.join(", ")}`);
      if (!rule.fits(value)) throw new Error(`must have ${rule.what} as "${key}", got ${JSON.stringify(value)}`);
      return [rule.name, value];
    }),
  );
}
