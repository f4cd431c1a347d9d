/** Sampling settings that a model file recommends. */
import type { SamplingDefaults } from "./model_settings.ts";

/** GGUF keys of recommended sampling settings, by field. */
const METADATA: Readonly<Partial<Record<keyof SamplingDefaults, string>>> = {
  temperature: "general.sampling.temp",
  topP: "general.sampling.top_p",
  topK: "general.sampling.top_k",
  minP: "general.sampling.min_p",
  repeatPenalty: "general.sampling.penalty_repeat",
};

/** Sampling settings recommended by the model file; invalid ones are ignored. */
export function samplingOf(metadata: ReadonlyMap<string, string>): SamplingDefaults {
  const found = Object.entries(METADATA).flatMap(([name, key]) => {
    const value = Number(metadata.get(key) ?? NaN);
    return Number.isFinite(value) && value >= 0 ? [[name, value]] : [];
  });
  return Object.fromEntries(found);
}
