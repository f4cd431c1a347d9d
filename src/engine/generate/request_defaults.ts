/** Defaults of a request: from the backend's configuration, else from the model's metadata. */
import type { SamplingDefaults } from "../../inference/model_settings.ts";
import type { ChatMessage, DefaultedField, GenerationRequest } from "../../inference/request.ts";

export interface RequestDefaults {
  readonly sampling: SamplingDefaults;
  readonly system?: string;
}

export function withDefaults(request: GenerationRequest, { sampling, system }: RequestDefaults): GenerationRequest {
  const { temperature, topP, topK, maxTokens, stop, ...others } = sampling;
  const { defaulted = [] } = request;
  const pick = <T>(field: DefaultedField, given: T, standard: T | undefined): T =>
    standard !== undefined && defaulted.includes(field) ? standard : given;
  return {
    ...request,
    messages: request.prompt === undefined ? withSystem(request.messages, system) : [],
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

/** Adds the backend's system prompt if the conversation has none. */
export function withSystem(messages: readonly ChatMessage[], system: string | undefined): readonly ChatMessage[] {
  if (system === undefined || messages.some(({ role }) => role === "system")) return messages;
  return [{ role: "system", content: system }, ...messages];
}
