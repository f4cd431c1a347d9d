/**
 * What every API asks of the daemon: an answer, vectors, scores, each counted and traced. The APIs differ in how they say it.
 */
import type {
  EmbedOptions,
  EmbedResult,
  GenerateV2Fields,
  GenerationV2Event,
  RerankOptions,
  RerankResult,
} from "@inferd/client";
import { unsupported } from "./api_error.ts";
import { CallIds } from "./call_ids.ts";
import type { DaemonLink, ServedModel } from "./daemon_link.ts";
import type { Metrics } from "./metrics.ts";
import { type RequestKind, type RequestRecord, together } from "./request_record.ts";
import { beginSpan, type TraceParent, traceParent } from "./tracing.ts";

/** What to generate, on which model. */
export interface GenerationJob {
  /** Which API asked, for the metrics. */
  readonly api: RequestKind["api"];
  readonly model: ServedModel;
  readonly request: Omit<GenerateV2Fields, "model">;
  /** Cancels. */
  readonly signal: AbortSignal;
}

/** Asks the daemon. */
export class Bridge {
  readonly link: DaemonLink;
  readonly metrics: Metrics;

  constructor(link: DaemonLink, metrics: Metrics) {
    this.link = link;
    this.metrics = metrics;
  }

  /**
   * The events of an answer. Asked for when the first is taken; ending it early cancels.
   *
   * @param job What to generate.
   * @throws The client's errors.
   */
  generate(job: GenerationJob): AsyncGenerator<GenerationV2Event> {
    // Whoever takes the first event may run outside of the handler, where the trace is not known.
    return this.#generate(job, traceParent());
  }

  async *#generate(
    { api, model, request, signal }: GenerationJob,
    parent: TraceParent,
  ): AsyncGenerator<GenerationV2Event> {
    using record = this.#begin({ api, surface: "v2", model: model.name }, parent, request);
    const client = await this.link.client("v2");
    const thinking = request.thinking ?? false;
    const ids = new CallIds(api);
    const generation = client.generate({ maxTokens: longest(model), ...request, thinking, model: model.name }, {
      signal,
    });
    try {
      for await (const event of generation) {
        if (event.type === "done") record.done(event);
        else record.event();
        yield ids.rename(event);
      }
    } catch (error) {
      record.failed(error, signal);
      throw error;
    }
  }

  /**
   * Vectors of texts.
   *
   * @param input The texts.
   * @param options How, and on which model.
   * @throws The client's errors.
   */
  async embed(
    input: readonly string[],
    { api, model, ...options }: Omit<EmbedOptions, "model"> & Pick<GenerationJob, "api" | "model">,
  ): Promise<EmbedResult> {
    using record = this.#begin({ api, surface: "embed", model: model.name });
    try {
      const client = await this.link.client("embed");
      const result = await client.embed(input, { ...options, model: model.name });
      record.done({ usage: { ...result.usage, completionTokens: 0 } });
      return result;
    } catch (error) {
      record.failed(error, options.signal);
      throw error;
    }
  }

  /**
   * Documents, ordered by a query.
   *
   * @param query What is looked for.
   * @param documents Where.
   * @param options How, and on which model.
   * @throws The client's errors.
   */
  async rerank(
    query: string,
    documents: readonly string[],
    { api, model, ...options }: Omit<RerankOptions, "model"> & Pick<GenerationJob, "api" | "model">,
  ): Promise<RerankResult> {
    using record = this.#begin({ api, surface: "rerank", model: model.name });
    try {
      const client = await this.link.client("rerank");
      const result = await client.rerank(query, documents, { ...options, model: model.name });
      record.done({ usage: { ...result.usage, completionTokens: 0 } });
      return result;
    } catch (error) {
      record.failed(error, options.signal);
      throw error;
    }
  }

  /**
   * The tokens of a request's prompt, as the model's chat template renders it.
   *
   * @param model Whose tokens.
   * @param request The conversation; the rest of it says nothing about the prompt.
   * @param signal Cancels.
   * @throws {ApiError} If the conversation has media.
   * @throws The client's errors.
   */
  async countTokens(model: ServedModel, request: GenerationJob["request"], signal: AbortSignal): Promise<number> {
    const { messages, attachments, tools, toolChoice, thinking } = request;
    if (attachments !== undefined) throw unsupported("messages", "tokens of images are not known before they are read");
    const client = await this.link.client("v2");
    return await client.countTokens({ messages, tools, toolChoice, thinking: thinking ?? false }, {
      model: model.name,
      signal,
    });
  }

  #begin(kind: RequestKind, parent = traceParent(), request?: GenerationJob["request"]): RequestRecord {
    return together(this.metrics.begin(kind), beginSpan(kind, parent, request));
  }
}

/**
 * These APIs let an answer be as long as the context where nothing is said; the daemon's own default is shorter. Of a
 * server elsewhere the context is not known.
 */
function longest({ backends: [{ contextTokens }] }: ServedModel): number | undefined {
  return contextTokens === undefined || contextTokens === 0 ? undefined : contextTokens;
}
