/**
 * Requests to the daemon shared by all APIs (generation, embeddings, rerank), each counted and traced. The APIs only
 * convert formats.
 */
import type {
  Client,
  EmbedInput,
  EmbedOptions,
  EmbedResult,
  GenerateV2Fields,
  GenerationEvent,
  RerankOptions,
  RerankResult,
} from "@inferd/client";
import { unsupported } from "./api_error.ts";
import { type LineLimits, withinLines } from "./line_limits.ts";
import { CallIds } from "./call_ids.ts";
import type { DaemonLink, ServedModel } from "./daemon_link.ts";
import type { Metrics } from "./metrics.ts";
import type { ModelStore } from "./model_store.ts";
import { type RequestKind, type RequestRecord, together } from "./request_record.ts";
import { beginSpan, type TraceParent, traceParent } from "./tracing.ts";

export interface GenerationJob {
  /** The API it came from, for metrics. */
  readonly api: RequestKind["api"];
  readonly model: ServedModel;
  readonly request: Omit<GenerateV2Fields, "model">;
  /** Where the answer ends besides. */
  readonly lines?: LineLimits | undefined;
  readonly signal: AbortSignal;
}

export class Bridge {
  readonly link: DaemonLink;
  readonly metrics: Metrics;
  /** Absent: clients may not download. */
  readonly store: ModelStore | undefined;

  constructor(link: DaemonLink, metrics: Metrics, store?: ModelStore) {
    this.link = link;
    this.metrics = metrics;
    this.store = store;
  }

  /**
   * Generate an answer. The request is sent when the first event is pulled; ending the iteration early cancels it.
   *
   * @throws The errors of the client library.
   */
  generate(job: GenerationJob): AsyncGenerator<GenerationEvent> {
    // The first event may be pulled outside of the handler, where the trace context is lost.
    return this.#generate(job, traceParent());
  }

  async *#generate(
    { api, model, request, lines, signal }: GenerationJob,
    parent: TraceParent,
  ): AsyncGenerator<GenerationEvent> {
    using record = this.#begin({ api, surface: "v2", model: model.name }, parent, request);
    const client = await this.link.client("v2");
    const thinking = request.thinking ?? false;
    const ids = new CallIds(api);
    const asked = { maxTokens: longest(model), ...request, thinking, model: model.name };
    const events = lines === undefined
      ? client.generate(asked, { signal })
      // The pieces tell where the answer ends, and progress what it has cost until then.
      : withinLines(client.generate({ ...asked, stream: true, progress: isOwn(model) }, { signal }), lines);
    const withProgress = request.progress === true;
    try {
      for await (const event of events) {
        if (event.type === "done") record.done(event);
        else if (event.type !== "progress") record.event();
        else if (!withProgress) continue;
        yield ids.rename(event);
      }
    } catch (error) {
      record.failed(error, signal);
      throw error;
    }
  }

  /** @throws The errors of the client library. */
  async embed(
    input: readonly EmbedInput[],
    { api, model, ...options }: Omit<EmbedOptions, "model"> & Pick<GenerationJob, "api" | "model">,
  ): Promise<EmbedResult> {
    const kind = { api, surface: "embed", model: model.name } as const;
    const asked = { ...options, model: model.name };
    return await this.#retrieve(kind, options.signal, (client) => client.embed(input, asked));
  }

  /**
   * Order documents by relevance to a query.
   *
   * @throws The errors of the client library.
   */
  async rerank(
    query: string,
    documents: readonly string[],
    { api, model, ...options }: Omit<RerankOptions, "model"> & Pick<GenerationJob, "api" | "model">,
  ): Promise<RerankResult> {
    const kind = { api, surface: "rerank", model: model.name } as const;
    const asked = { ...options, model: model.name };
    return await this.#retrieve(kind, options.signal, (client) => client.rerank(query, documents, asked));
  }

  async #retrieve<Result extends EmbedResult | RerankResult>(
    kind: RequestKind,
    signal: AbortSignal | undefined,
    ask: (client: Client) => Promise<Result>,
  ): Promise<Result> {
    using record = this.#begin(kind);
    try {
      const result = await ask(await this.link.client(kind.surface));
      record.done({ usage: { ...result.usage, completionTokens: 0 } });
      return result;
    } catch (error) {
      record.failed(error, signal);
      throw error;
    }
  }

  /**
   * Count the tokens of a prompt as rendered by the model's chat template.
   *
   * @param request The conversation; other fields do not affect the prompt.
   * @throws {ApiError} If the conversation has media.
   * @throws The errors of the client library.
   */
  async countTokens(model: ServedModel, request: GenerationJob["request"], signal: AbortSignal): Promise<number> {
    const { messages, attachments, tools, toolChoice, thinking, generationPrompt, templateVariables } = request;
    if (attachments !== undefined) throw unsupported("messages", "tokens of images are not known before they are read");
    const client = await this.link.client("v2");
    const asked = { messages, tools, toolChoice, thinking: thinking ?? false, generationPrompt, templateVariables };
    return await client.countTokens(asked, {
      model: model.name,
      signal,
    });
  }

  #begin(kind: RequestKind, parent = traceParent(), request?: GenerationJob["request"]): RequestRecord {
    return together(this.metrics.begin(kind), beginSpan(kind, parent, request));
  }
}

/** Whether the daemon's own engines serve it. A server elsewhere does not tell progress. */
export function isOwn({ backends }: ServedModel): boolean {
  return backends.every(({ modelFile }) => modelFile !== undefined);
}

/**
 * In these APIs an answer without a limit may fill the context, unless the backend's configuration has a limit; the
 * daemon's own default is lower. A remote server's context size is unknown.
 */
function longest({ backends: [{ contextTokens, defaults }] }: ServedModel): number | undefined {
  if (defaults?.maxTokens !== undefined) return defaults.maxTokens;
  return contextTokens === undefined || contextTokens === 0 ? undefined : contextTokens;
}
