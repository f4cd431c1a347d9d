/** Language models for the AI SDK. */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  LanguageModelV4Usage,
} from "@ai-sdk/provider";
import type { Client, GenerationEvent, GenerationResult } from "@inferd/client";
import { modelName, PROVIDER } from "./names.ts";
import { convert } from "./prompt.ts";

/** A model that generates. */
export class InferdLanguageModel implements LanguageModelV4 {
  readonly specificationVersion = "v4";
  readonly provider: string = PROVIDER;
  readonly modelId: string;
  /** None: the AI SDK downloads what is named by URL. */
  readonly supportedUrls: Record<string, RegExp[]> = {};
  readonly #client: Client;

  /**
   * @param client Asks the daemon.
   * @param modelId The model.
   */
  constructor(client: Client, modelId: string) {
    this.#client = client;
    this.modelId = modelId;
  }

  async doGenerate(options: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> {
    const { request, warnings } = convert(options, this.modelId);
    const answer = await this.#client.generate({ ...request, stream: false }, { signal: options.abortSignal }).result();
    const content: LanguageModelV4Content[] = [];
    if (answer.thinking !== "") content.push({ type: "reasoning", text: answer.thinking });
    if (answer.text !== "") content.push({ type: "text", text: answer.text });
    for (const { toolCallId, name, input } of answer.toolCalls) {
      content.push({ type: "tool-call", toolCallId, toolName: name, input: JSON.stringify(input) });
    }
    return {
      content,
      finishReason: finishReason(answer),
      usage: usageOf(answer),
      warnings,
      providerMetadata: { [PROVIDER]: { backend: answer.backend } },
      response: { modelId: modelName(this.modelId) ?? answer.backend },
    };
  }

  doStream(options: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult> {
    return new Promise((resolve) => {
      const { request, warnings } = convert(options, this.modelId);
      const events = this.#client.generate(request, { signal: options.abortSignal });
      const parts = streamParts(events, warnings);
      resolve({
        stream: new ReadableStream({
          async pull(controller): Promise<void> {
            const { done, value } = await parts.next();
            if (done) controller.close();
            else controller.enqueue(value);
          },
          async cancel(): Promise<void> {
            await parts.return();
          },
        }),
      });
    });
  }
}

async function* streamParts(
  events: AsyncIterable<GenerationEvent>,
  warnings: Extract<LanguageModelV4StreamPart, { type: "stream-start" }>["warnings"],
): AsyncGenerator<LanguageModelV4StreamPart, void, void> {
  yield { type: "stream-start", warnings };
  let open: "text" | "reasoning" | undefined;
  let count = 0;
  const close = (): LanguageModelV4StreamPart[] => {
    const ended = open;
    open = undefined;
    return ended === undefined ? [] : [{ type: `${ended}-end`, id: String(count) }];
  };
  try {
    for await (const event of events) {
      if (event.type === "text" || event.type === "thinking") {
        const kind = event.type === "text" ? "text" : "reasoning";
        if (open !== kind) {
          yield* close();
          open = kind;
          yield { type: `${kind}-start`, id: String(++count) };
        }
        yield { type: `${kind}-delta`, id: String(count), delta: event.text };
        continue;
      }
      if (event.type === "progress") continue;
      yield* close();
      if (event.type === "tool_use") {
        const { toolCallId, name, input } = event;
        const text = JSON.stringify(input);
        yield { type: "tool-input-start", id: toolCallId, toolName: name };
        yield { type: "tool-input-delta", id: toolCallId, delta: text };
        yield { type: "tool-input-end", id: toolCallId };
        yield { type: "tool-call", toolCallId, toolName: name, input: text };
      } else {
        yield { type: "finish", usage: usageOf(event), finishReason: finishReason(event) };
      }
    }
  } catch (error) {
    yield { type: "error", error };
  }
}

const FINISH_REASONS: Readonly<Record<string, LanguageModelV4FinishReason["unified"]>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool-calls",
  error: "error",
};

function finishReason({ stopReason }: GenerationResult): LanguageModelV4FinishReason {
  return { unified: FINISH_REASONS[stopReason] ?? "other", raw: stopReason };
}

function usageOf({ usage }: GenerationResult): LanguageModelV4Usage {
  const { promptTokens, completionTokens, cachedTokens } = usage;
  return {
    inputTokens: {
      total: promptTokens,
      noCache: cachedTokens === undefined ? undefined : promptTokens - cachedTokens,
      cacheRead: cachedTokens,
      cacheWrite: undefined,
    },
    outputTokens: { total: completionTokens, text: undefined, reasoning: undefined },
  };
}
