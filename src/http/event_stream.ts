/**
 * Answers that come in pieces. The status goes out with the first piece, so whatever is wrong before that has a status
 * of its own; what goes wrong later is a last piece. A consumer that goes away ends the producer. When a piece is written
 * is `gatherer.ts`'s.
 */
import { Gatherer } from "./gatherer.ts";

/** How a stream is written. */
export interface StreamForm {
  readonly contentType: string;
  /** The last piece of a stream that failed. */
  onError(error: unknown): string;
}

/** Server-sent events. */
export const SERVER_SENT_EVENTS = "text/event-stream; charset=utf-8";
/** One JSON value a line. */
export const JSON_LINES = "application/x-ndjson";

/**
 * One server-sent event.
 *
 * @param data What it says, as JSON.
 * @param event Its name; absent: none.
 */
export function serverSentEvent(data: unknown, event?: string): string {
  return `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/**
 * Answer with a stream.
 *
 * @param pieces Its text, piece by piece; ended early when nobody reads it any more.
 * @param form How it is written.
 * @returns The response, once there is a first piece.
 * @throws Whatever is wrong before there is one.
 */
export async function streamed(pieces: AsyncGenerator<string>, form: StreamForm): Promise<Response> {
  const first = await pieces.next();
  return new Response(new ReadableStream(new Gatherer(pieces, first, form.onError)), {
    headers: { "Content-Type": form.contentType, "Cache-Control": "no-store", "X-Accel-Buffering": "no" },
  });
}

/** Whether a response is one of {@linkcode streamed}. */
export function isStream({ headers }: Response): boolean {
  const type = headers.get("content-type");
  return type === SERVER_SENT_EVENTS || type === JSON_LINES;
}

/**
 * What several iterables yield, as it comes, each with the number of the one it is of. Ending it early ends all.
 *
 * @param sources Where from.
 * @param width How many of them run at a time, by default all; the others start, in order, as these end.
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
    // The failure of one is told when its turn comes; meanwhile it is nobody's.
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
