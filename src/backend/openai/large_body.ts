/** Bodies of megabytes: written and sent in pieces, at a pace that leaves the cores to the requests that run. */
import { gradualJson } from "@inferd/client/protocol";
import { turn } from "../../inference/turn.ts";
import { movedMs, type Pace } from "../../ndjson/pace.ts";

/** Bytes sent between two pauses. */
const SENT_AT_ONCE = 512 * 1024;

/** How long the sending of one body pauses, all pauses together, in milliseconds. */
export const MOST_PAUSED_MS = 10_000;

/** Running requests that a body belongs to. */
const OWN = 1;

/** Write a large body while others are served. */
export async function largeBody(body: unknown, pace: Pace): Promise<Blob> {
  const pieces: Blob[] = [];
  let start = performance.now();
  for (const piece of gradualJson(body)) {
    pieces.push(new Blob([piece]));
    await (pace.rest(performance.now() - start, OWN) ?? turn());
    start = performance.now();
  }
  return new PacedBlob(pieces, pace);
}

/** As a blob its length is known beforehand: many servers take no body without one. */
class PacedBlob extends Blob {
  readonly #pace: Pace;

  constructor(pieces: readonly Blob[], pace: Pace) {
    super([...pieces]);
    this.#pace = pace;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return ReadableStream.from(paced(super.stream(), this.#pace));
  }
}

async function* paced(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  pace: Pace,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  let bytes = 0;
  let pausedMs = 0;
  for await (const piece of stream) {
    yield piece;
    bytes += piece.length;
    if (bytes < SENT_AT_ONCE || pausedMs >= MOST_PAUSED_MS) continue;
    const start = performance.now();
    await (pace.rest(movedMs(bytes), OWN) ?? turn());
    pausedMs += performance.now() - start;
    bytes = 0;
  }
}
