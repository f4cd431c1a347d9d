/**
 * Streamed responses. Headers are sent with the first piece, so that earlier errors get their own status; later ones
 * become a final piece. When the consumer leaves, the producer is ended.
 */
import type { Context } from "hono";
import { Gatherer } from "./gatherer.ts";

export interface StreamForm {
  readonly contentType: string;
  /** Final piece of a failed stream. */
  onError(error: unknown): string;
}

export const SERVER_SENT_EVENTS = "text/event-stream; charset=utf-8";
export const JSON_LINES = "application/x-ndjson";

/** @param event Its name, if any. */
export function serverSentEvent(data: unknown, event?: string): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/**
 * @param context The request; its response has the headers that were set before.
 * @param pieces Text pieces; ended early if the client disconnects.
 * @returns The response, once the first piece has arrived.
 * @throws Errors before the first piece.
 */
export async function streamed(
  context: Context,
  pieces: AsyncGenerator<string>,
  form: StreamForm,
): Promise<Response> {
  const first = await pieces.next();
  return context.body(new ReadableStream(new Gatherer(pieces, first, form.onError)), 200, {
    "Content-Type": form.contentType,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  });
}

/** Respond with a stream of server-sent events, in which an error after the first piece becomes the last one. */
export function streamedEvents(
  context: Context,
  pieces: AsyncGenerator<string>,
  onError: StreamForm["onError"],
): Promise<Response> {
  return streamed(context, pieces, { contentType: SERVER_SENT_EVENTS, onError });
}

/** Whether a response came from {@linkcode streamed}. */
export function isStream({ headers }: Response): boolean {
  const type = headers.get("content-type");
  return type === SERVER_SENT_EVENTS || type === JSON_LINES;
}

/**
 * What several iterables yield, as it comes, each with the number of the one it is of. Ending it early ends all.
 *
 * @param width How many run concurrently, by default all; the others start in order as those end.
 */
export async function* merged<T>(
  sources: readonly AsyncIterable<T>[],
  width = sources.length,
): AsyncGenerator<readonly [number, T]> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const waiting = new Map<number, Promise<readonly [number, IteratorResult<T>]>>();
  const take = (index: number): void => {
    const iterator = iterators[index];
    if (iterator === undefined) return;
    const promise = iterator.next().then((result) => [index, result] as const);
    // The failure surfaces when its turn comes; until then it must not count as unhandled.
    promise.catch(() => {});
    waiting.set(index, promise);
  };
  let started = 0;
  while (started < width) take(started++);
  try {
    while (waiting.size > 0) {
      const [index, result] = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(index);
        take(started++);
        continue;
      }
      take(index);
      yield [index, result.value];
    }
  } finally {
    await Promise.allSettled(iterators.map((iterator) => iterator.return?.()));
  }
}
