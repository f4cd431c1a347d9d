/**
 * Requests on the admin socket: list the running and waiting requests, follow them, cancel one. Lines are short;
 * anything else that a client writes is ignored.
 */
import type { CancelledFrame, QueueStatus, RequestsFrame } from "@inferd/client/protocol";
import type { LiveRequests } from "../pipeline/live_requests.ts";
import { isObject } from "../inference/objects.ts";
import { LineAssembler, splitLines } from "../ndjson/line_assembler.ts";

const MAX_LINE_BYTES = 1024;

/** Splits bytes into lines; never buffers more than one short line and one read. */
export class QuestionReader {
  #assembler = new LineAssembler(Infinity);
  /** The line that is arriving is too long. */
  #skips = false;

  /** @returns The lines that the bytes complete, without those that are too long. */
  push(bytes: Uint8Array): string[] {
    const lines = splitLines(this.#assembler.push(bytes));
    if (this.#skips && lines.shift() !== undefined) this.#skips = false;
    if (this.#assembler.violation !== undefined || this.#assembler.heldBytes > MAX_LINE_BYTES) {
      this.#assembler = new LineAssembler(Infinity);
      this.#skips = true;
    }
    return lines.filter(({ length }) => length <= MAX_LINE_BYTES);
  }
}

/** Answers requests on the admin socket. */
export class RequestDesk {
  readonly #live: LiveRequests;
  readonly #queue: () => QueueStatus;

  constructor(live: LiveRequests, queue: () => QueueStatus) {
    this.#live = live;
    this.#queue = queue;
  }

  /**
   * Tell of requests, if that is what a line asks for.
   *
   * @param push Takes frames with their newlines.
   * @returns Disposal ends it; `undefined` if the line asks for something else.
   */
  follow(line: string, push: (frame: string) => void): Disposable | undefined {
    if (read(line)?.type !== "follow") return undefined;
    return this.#live.follow((frame) => push(`${JSON.stringify(frame)}\n`));
  }

  /** @returns A frame with its newline; `undefined` if the line is not a request. */
  answer(line: string): string | undefined {
    const asked = read(line);
    if (asked === undefined) return undefined;
    if (asked.type === "requests") {
      const frame: RequestsFrame = {
        id: "admin",
        type: "requests",
        requests: this.#live.list(),
        totals: this.#live.totals(),
        backends: this.#live.totalsByBackend(),
        uptime_ms: Math.round(performance.now()),
        queue: this.#queue(),
      };
      return `${JSON.stringify(frame)}\n`;
    }
    if (asked.type === "cancel" && typeof asked.number === "number") {
      const { number } = asked;
      const frame: CancelledFrame = { id: "admin", type: "cancelled", number, found: this.#live.cancel(number) };
      return `${JSON.stringify(frame)}\n`;
    }
    return undefined;
  }
}

function read(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
