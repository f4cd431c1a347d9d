/** llama-server's own form of an answer: of `/completion`, and in `__verbose` of OpenAI's endpoints. */
import type { GenerationResult, Usage } from "@inferd/client";
import type { ServedModel } from "../daemon_link.ts";
import { settingsOf } from "./settings.ts";
import { timingsOf } from "./timings.ts";

/** The request of an answer. */
export interface AnsweredRequest {
  readonly model: ServedModel;
  /** Its fields as they came. */
  readonly asked: Readonly<Record<string, unknown>> & {
    readonly stop?: string | readonly string[] | null | undefined;
  };
  /** Its limit; undefined: the backend's, or as many as the context holds. */
  readonly maxTokens: number | undefined;
  /** By token. */
  readonly bias: Readonly<Record<string, number>> | undefined;
}

export class AnswerForm {
  readonly #request: AnsweredRequest;
  readonly #settings: Readonly<Record<string, unknown>>;

  constructor(request: AnsweredRequest) {
    const { model, asked, maxTokens, bias } = request;
    this.#request = request;
    this.#settings = {
      ...settingsOf({ ...asked, n_predict: maxTokens, max_tokens: maxTokens }, model.backends[0].defaults),
      logit_bias: Object.entries(bias ?? {}).map(([token, bias]) => ({ token: Number(token), bias })),
    };
  }

  /** All but the text and what goes with its tokens. */
  whole(
    result: GenerationResult,
    { index, prompt }: { readonly index: number; readonly prompt: string },
  ): Record<string, unknown> {
    const { model, asked } = this.#request;
    return {
      index,
      tokens: [],
      generation_settings: this.#settings,
      id_slot: -1,
      stop: true,
      model: model.name,
      tokens_predicted: result.usage.completionTokens,
      tokens_evaluated: result.usage.promptTokens,
      tokens_cached: result.usage.cachedTokens ?? 0,
      prompt,
      has_new_line: result.text.includes("\n"),
      truncated: isFull(result.usage, model),
      ...stopOf(result, asked),
      ...timingsOf(result),
    };
  }

  /** The `__verbose` field. */
  verbose(
    result: GenerationResult,
    { index, prompt }: { readonly index: number; readonly prompt: string },
  ): { readonly __verbose: Record<string, unknown> } {
    return { __verbose: { ...this.whole(result, { index, prompt }), content: result.text } };
  }
}

/** Whether an answer ended with the context, whose size is 0 where it is unknown. */
function isFull(
  { promptTokens, completionTokens }: Usage,
  { backends: [{ contextTokens = 0 }] }: ServedModel,
): boolean {
  return contextTokens > 0 && promptTokens + completionTokens >= contextTokens;
}

function stopOf(
  { stopReason, stopSequence }: GenerationResult,
  { stop }: AnsweredRequest["asked"],
): Record<string, unknown> {
  if (stopReason === "max_tokens") return { stop_type: "limit", stopping_word: "" };
  if (stopReason !== "stop_sequence") return { stop_type: "eos", stopping_word: "" };
  // A server elsewhere does not tell which of several matched.
  const [only = "", ...others] = [stop ?? []].flat();
  return { stop_type: "word", stopping_word: stopSequence ?? (others.length === 0 ? only : "") };
}
