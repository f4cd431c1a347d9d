/** Parses the admin socket's response frames. */
import type { DaemonActivity, LiveRequestStatus } from "../activity.ts";
import { type Fields, isRecord, list, number, parse, readQueue, record, text, wrong } from "./frames.ts";

/**
 * Read the answer to `requests`; `undefined` if it is another frame.
 *
 * @throws {ProtocolError} If it is no frame.
 */
export function readActivity(line: string): DaemonActivity | undefined {
  const frame = parse(line);
  if (frame.type !== "requests") return undefined;
  const totals = record(frame, "totals");
  return {
    requests: list(frame, "requests").map((entry) => {
      if (!isRecord(entry)) throw wrong(frame, "requests", "a list of objects");
      return readRequest(entry);
    }),
    totals: {
      done: number(totals, "done"),
      failed: number(totals, "failed"),
      promptTokens: number(totals, "prompt_tokens"),
      completionTokens: number(totals, "completion_tokens"),
      firstTokens: number(totals, "first_tokens"),
      firstTokenMs: number(totals, "first_token_ms"),
    },
    backends: frame.backends === undefined ? [] : list(frame, "backends").map((entry) => {
      if (!isRecord(entry)) throw wrong(frame, "backends", "a list of objects");
      return {
        backend: text(entry, "backend"),
        done: number(entry, "done"),
        laterTokens: number(entry, "later_tokens"),
        generationMs: number(entry, "generation_ms"),
      };
    }),
    ...(frame.uptime_ms === undefined ? {} : { uptimeMs: number(frame, "uptime_ms") }),
    queue: readQueue(record(frame, "queue")),
  };
}

/** Read the status of one request. */
export function readRequest(entry: Fields): LiveRequestStatus {
  return {
    number: number(entry, "number"),
    id: text(entry, "id"),
    service: text(entry, "service"),
    state: text(entry, "state") === "waiting" ? "waiting" : "running",
    ...(entry.backend === undefined ? {} : { backend: text(entry, "backend") }),
    ageMs: number(entry, "age_ms"),
    ...(entry.first_token_ms === undefined ? {} : { firstTokenMs: number(entry, "first_token_ms") }),
    pieces: number(entry, "pieces"),
  };
}

/**
 * Read the answer to `cancel`: whether the request was under way; `undefined` if it is another frame.
 *
 * @throws {ProtocolError} If it is no frame.
 */
export function readCancelled(line: string): boolean | undefined {
  const frame = parse(line);
  return frame.type === "cancelled" ? frame.found === true : undefined;
}
