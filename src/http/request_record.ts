/** What the bridge tells of one request while it runs, to whoever counts or traces it. Nothing of what was asked. */
import type { GenerationV2Result, Usage } from "@inferd/client";
import { toApiError } from "./api_error.ts";

/** How requests are told apart. */
export interface RequestKind {
  readonly api: "openai" | "anthropic" | "ollama" | "llama_server";
  readonly surface: "v2" | "embed" | "rerank";
  readonly model: string;
}

/** How a request ended well. */
export interface RequestResult extends Partial<Pick<GenerationV2Result, "timings" | "stopReason">> {
  readonly usage: Usage;
}

/** One request under way. Disposal ends it; one that was neither done nor failed was left by its reader. */
export interface RequestRecord extends Disposable {
  /** Something of the answer came. */
  event(): void;
  done(result: RequestResult): void;
  failed(error: unknown, signal: AbortSignal | undefined): void;
}

/**
 * How a request failed, in one word.
 *
 * @param error What ended it.
 * @param signal The client's; where it fired, the client had left.
 */
export function outcomeOf(error: unknown, signal: AbortSignal | undefined): string {
  return signal?.aborted ? "cancelled" : toApiError(error).code ?? "internal";
}

/** One record that tells several. */
export function together(...records: readonly RequestRecord[]): RequestRecord {
  return {
    event: (): void => records.forEach((record) => record.event()),
    done: (result): void => records.forEach((record) => record.done(result)),
    failed: (error, signal): void => records.forEach((record) => record.failed(error, signal)),
    [Symbol.dispose]: (): void => records.forEach((record) => record[Symbol.dispose]()),
  };
}
