/** Messages between the bridge, which reads client input, and the worker that may write to the store. */
import type { ListedModel, PullLine } from "../http/model_store.ts";

/** First message to the worker. */
export interface Setup {
  readonly root: string;
  readonly memoryBytes: number;
  /** Variables of Hugging Face. */
  readonly env: Readonly<Record<string, string>>;
  /** Interval of progress lines, in milliseconds; for tests. */
  readonly progressMs?: number | undefined;
}

/** A request to the worker. */
export type Order =
  | { readonly id: number; readonly word: "pull"; readonly reference: string }
  | { readonly id: number; readonly word: "list" }
  /** Abort the pull of this id. */
  | { readonly id: number; readonly word: "cancel" };

/** Why an order failed. */
export interface Failure {
  /** A `ModelStoreErrorCode`, or `internal`. */
  readonly code: string;
  readonly message: string;
  /** HTTP status of the hub. */
  readonly status?: number | undefined;
}

/** What the worker reports. */
export type Report =
  | { readonly id: number; readonly line: PullLine }
  | { readonly id: number; readonly done: readonly ListedModel[] }
  | { readonly id: number; readonly failure: Failure };

/** Longest reference; a file's path in a repository is rarely longer than 200. */
const MOST_REFERENCE_CHARACTERS = 1024;

/**
 * Read an order.
 *
 * @param message What the bridge sent.
 * @returns The order; nothing if it is none.
 */
export function readOrder(message: unknown): Order | undefined {
  if (typeof message !== "object" || message === null || !("id" in message) || !("word" in message)) return undefined;
  const { id, word } = message;
  if (typeof id !== "number") return undefined;
  if (word === "list" || word === "cancel") return { id, word };
  if (word !== "pull" || !("reference" in message) || typeof message.reference !== "string") return undefined;
  return message.reference.length > MOST_REFERENCE_CHARACTERS ? undefined : { id, word, reference: message.reference };
}
