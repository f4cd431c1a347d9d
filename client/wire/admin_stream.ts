/** One connection to the admin socket: a question and its response, or the stream of events. */
import type { AdminEvent } from "../admin_events.ts";
import { endpointName, type UnixEndpoint } from "../endpoints.ts";
import { ConnectionClosedError, withCallerStack } from "../errors/errors.ts";
import type { AdminRequest } from "../protocol/mod.ts";
import { readAdminFrame } from "./admin_frames.ts";
import { Connection, encodeFrame } from "./connection.ts";

/** A question, and the parser of its answer. */
export interface Question<T> {
  readonly request: AdminRequest;
  /** `undefined` for a frame that is not the answer. */
  read(line: string): T | undefined;
  readonly signal: AbortSignal;
}

/** Ask the admin socket a question. */
export async function ask<T>(endpoint: UnixEndpoint, { request, read, signal }: Question<T>): Promise<T> {
  const connection = await Connection.open(endpoint, signal);
  const close = (): void => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    connection.send(encodeFrame(request));
    for (;;) {
      signal.throwIfAborted();
      const line = connection.take();
      if (line === undefined) {
        if (await connection.fill()) continue;
        throw connection.closedError();
      }
      const answer = connection.read(() => read(line));
      if (answer !== undefined) return answer;
    }
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Cancellation of a connection to the admin socket, and the origin of its errors. */
export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Created in the call, for the stack traces of errors. */
  readonly call: Error;
  /** Also follow requests. */
  readonly requests?: boolean;
}

/** The frames of the admin socket, until it ends. */
export async function* follow(endpoint: UnixEndpoint, options: FollowOptions): AsyncGenerator<AdminEvent, void, void> {
  const { signal, call, requests = false } = options;
  let connection: Connection | undefined;
  const close = (): void => connection?.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    connection = await Connection.open(endpoint, signal);
    const question: AdminRequest = { type: "follow" };
    if (requests) connection.send(encodeFrame(question));
    for (;;) {
      signal.throwIfAborted();
      const line = connection.take();
      if (line === undefined) {
        if (await connection.fill()) continue;
        signal.throwIfAborted();
        return;
      }
      const event = connection.read(() => readAdminFrame(line));
      if (event !== undefined) yield event;
    }
  } catch (error) {
    throw withCallerStack(error, call);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** Wait until the daemon is ready. */
export async function sawReady(endpoint: UnixEndpoint, options: FollowOptions): Promise<void> {
  for await (const event of follow(endpoint, options)) {
    if (event.status === "ready") return;
  }
  throw new ConnectionClosedError(`The daemon at "${endpointName(endpoint)}" ended before it was ready`);
}
