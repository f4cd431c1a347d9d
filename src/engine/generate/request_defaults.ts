/** What a request gets that it does not say: from the backend's configuration, else from the model's metadata. */
import type { SamplingDefaults } from "../../inference/model_settings.ts";
import type { ChatMessage, DefaultedField, GenerationRequest } from "../../inference/request.ts";

/** What holds where a request says nothing. */
export interface RequestDefaults {
  readonly sampling: SamplingDefaults;
  readonly system?: string;
}

/** What a model's file recommends, by the name of our field. */
const METADATA: Readonly<Partial<Record<keyof SamplingDefaults, string>>> = {
  temperature: "general.sampling.temp",
  topP: "general.sampling.top_p",
  topK: "general.sampling.top_k",
  minP: "general.sampling.min_p",
  repeatPenalty: "general.sampling.penalty_repeat",
};

/** What a model's file recommends; what makes no sense is left out. */
export function samplingOf(metadata: ReadonlyMap<string, string>): SamplingDefaults {
  const found = Object.entries(METADATA).flatMap(([name, key]) => {
    const value = Number(metadata.get(key) ?? NaN);
    return Number.isFinite(value) && value >= 0 ? [[name, value]] : [];
  });
  return Object.fromEntries(found);
}

/** Fill in what a request leaves out. */
export function withDefaults(request: GenerationRequest, { sampling, system }: RequestDefaults): GenerationRequest {
  const { temperature, topP, topK, maxTokens, stop, ...others } = sampling;
  const { defaulted = [] } = request;
  const pick = <T>(field: DefaultedField, given: T, standard: T | undefined): T =>
    standard !== undefined && defaulted.includes(field) ? standard : given;
  return {
    ...request,
    messages: withSystem(request.messages, system),
    sampling: {
      ...others,
      ...request.sampling,
      temperature: pick("temperature", request.sampling.temperature, temperature),
      topP: pick("top_p", request.sampling.topP, topP),
      topK: pick("top_k", request.sampling.topK, topK),
    },
    maxTokens: pick("max_tokens", request.maxTokens, maxTokens),
    stop: request.stop.length > 0 ? request.stop : stop ?? [],
  };
}

/** The backend's system prompt, where a conversation has none of its own. */
export function withSystem(messages: readonly ChatMessage[], system: string | undefined): readonly ChatMessage[] {
  if (system === undefined || messages.some(({ role }) => role === "system")) return messages;
  return [{ role: "system", content: system }, ...messages];
}
