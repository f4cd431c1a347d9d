/** `sampling` of a backend in the configuration file: the fields of a request, with the same limits. */
import { isWithin, MAX_STOP_STRINGS, numberText, SAMPLING_LIMITS } from "@inferd/client/protocol";
import type { SamplingDefaults } from "../../inference/model_settings.ts";

/** By key, which is the field's name on the wire. */
const NAMES: Readonly<Record<string, keyof SamplingDefaults>> = {
  temperature: "temperature",
  top_p: "topP",
  top_k: "topK",
  min_p: "minP",
  presence_penalty: "presencePenalty",
  frequency_penalty: "frequencyPenalty",
  repeat_penalty: "repeatPenalty",
  seed: "seed",
  max_tokens: "maxTokens",
  stop: "stop",
};

export const SAMPLING_KEYS: readonly string[] = Object.keys(NAMES);

/** @throws {Error} If a field is unknown or its value is invalid. */
export function samplingDefaults(text: string): SamplingDefaults {
  const given: Readonly<Record<string, unknown>> = JSON.parse(text);
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const name = Object.hasOwn(NAMES, key) ? NAMES[key] : undefined;
      if (name === undefined) throw new Error(`has no key "${key}", only ${SAMPLING_KEYS.join(", ")}`);
      const allowed = whatElse(key as keyof typeof SAMPLING_LIMITS | "stop", value);
      if (allowed !== undefined) throw new Error(`must have ${allowed} as "${key}", got ${JSON.stringify(value)}`);
      return [name, value];
    }),
  );
}

/** What a field must be that is something else. */
function whatElse(key: keyof typeof SAMPLING_LIMITS | "stop", value: unknown): string | undefined {
  if (key !== "stop") return isWithin(value, SAMPLING_LIMITS[key]) ? undefined : numberText(SAMPLING_LIMITS[key]);
  const isStop = Array.isArray(value) && value.length <= MAX_STOP_STRINGS &&
    value.every((text) => typeof text === "string" && text !== "");
  return isStop ? undefined : `at most ${MAX_STOP_STRINGS} texts that are not empty`;
}
