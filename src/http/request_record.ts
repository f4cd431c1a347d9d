/** Progress of a request as reported to metrics and tracing. Holds no request content. */
import type { GenerationResult, Usage } from "@inferd/client";
import { toApiError } from "./api_error.ts";

export interface RequestKind {
  readonly api: "openai" | "anthropic" | "ollama" | "llama_server";
  readonly surface: "v2" | "embed" | "rerank";
  readonly model: string;
}

export interface RequestResult extends Partial<Pick<GenerationResult, "timings" | "stopReason">> {
  readonly usage: Usage;
}

/** A request in progress. Disposal ends it; one that neither succeeded nor failed was abandoned by its client. */
export interface RequestRecord extends Disposable {
  /** A piece of the answer arrived. */
  event(): void;
  done(result: RequestResult): void;
  failed(error: unknown, signal: AbortSignal | undefined): void;
}

/** A failure in one word; if the client's signal fired, it disconnected. */
export function outcomeOf(error: unknown, signal: AbortSignal | undefined): string {
  return signal?.aborted ? "cancelled" : toApiError(error).code ?? "internal";
}

/** A record that forwards to several. */
export function together(...records: readonly RequestRecord[]): RequestRecord {
  return {
    event: (): void => records.forEach((record) => record.event()),
    done: (result): void => records.forEach((record) => record.done(result)),
    failed: (error, signal): void => records.forEach((record) => record.failed(error, signal)),
    [Symbol.dispose]: (): void => records.forEach((record) => record[Symbol.dispose]()),
  };
}
