/**
 * One client of dispatch: reads a length and a frame, writes the same, closes. Owns the limits on a client that has not
 * sent its request yet; requests and answers belong to `surfaces/dispatch.ts`.
 */
import { MAX_DISPATCH_BYTES } from "@inferd/client/protocol";
import { InvalidRequestError } from "../inference/errors.ts";
import { turn } from "../inference/turn.ts";
import { errorText } from "../log/error_text.ts";
import { type Dispatch, readDispatchRequest } from "../surfaces/dispatch.ts";
import { BaseConnection, type BaseOptions } from "./base_connection.ts";
import { LargeLine } from "./json_line.ts";
import { BadFrameError, encodeFrame, OversizedFrameError, readFrame } from "./length_prefix.ts";
import type { Account, MemoryBudget } from "./memory_budget.ts";
import { HALF_CLOSED_MS } from "./peer.ts";

/** How many parts of a frame are parsed before others run. */
const PARTS_PER_TURN = 8;

/** A connection's timeouts, in milliseconds. */
export interface DispatchTimes {
  /** From accepting to the last byte of the request. */
  readonly requestTimeoutMs: number;
  /** How long the client may go without reading its answer. */
  readonly idleWriteTimeoutMs: number;
  /** How long a client that has closed its sending side counts as present where the kernel cannot be asked. */
  readonly halfClosedMs: number;
}

/** The timeouts in production. */
export const DEFAULT_DISPATCH_TIMES: DispatchTimes = {
  requestTimeoutMs: 30_000,
  idleWriteTimeoutMs: 30_000,
  halfClosedMs: HALF_CLOSED_MS,
};

export interface DispatchConnectionOptions extends BaseOptions {
  readonly dispatch: Dispatch;
  readonly times: DispatchTimes;
  /** Shared by all connections of the daemon. */
  readonly memory: MemoryBudget;
}

export class DispatchConnection extends BaseConnection {
  readonly #options: DispatchConnectionOptions;
  readonly #account: Account;
  #asking = false;
  /** The incoming frame was dropped. */
  #refused = false;

  constructor(options: DispatchConnectionOptions) {
    super({ ...options, encode: encodeFrame });
    this.#options = options;
    this.#account = options.memory.open(options.callerName, () => {
      this.#refused = true;
      this.close();
    });
  }

  /** Nothing is read while calls run. */
  protected override get blind(): boolean {
    return this.#asking;
  }

  protected override async serve(): Promise<void> {
    const { dispatch, peerName, callerName } = this.#options;
    using _account = this.#account;
    // No variable here holds the frame: it may be 8 MiB, and would stay alive while its calls run.
    const request = await readRequest(await this.#read());
    // A client that gets no answer has its own fallback.
    if (this.#options.draining()) throw new BadFrameError("The daemon is shutting down");
    this.setBusy(true);
    const start = performance.now();
    this.#watch();
    const response = await dispatch.answer(request, { signal: this.signal, name: this.#options.callerName });
    this.#asking = false;
    this.stopLooking();
    this.writer.send(JSON.stringify(response));
    await this.writer.flush();
    // It was not sent completely.
    if (this.closed) throw this.signal.reason;
    const log = response.ok ? this.#options.log : this.#options.log.limited(callerName);
    log.info("dispatch_done", {
      peer: peerName,
      ok: response.ok,
      ...(response.namespace_mismatch ? { refused: "namespace" } : {}),
      ...(response.config_mismatch ? { refused: "config_id" } : {}),
      total_ms: Math.round((performance.now() - start) * 1000) / 1000,
    });
  }

  protected override failed(error: unknown): void {
    const { log, peerName, callerName } = this.#options;
    if (error instanceof BadFrameError) {
      log.limited(callerName).debug("dispatch_frame_refused", { peer: peerName, reason: error.message });
    } else if (this.signal.aborted) {
      log.info("dispatch_cancelled", { peer: peerName, reason: errorText(this.signal.reason) });
    } else {
      super.failed(error);
    }
  }

  async #read(): Promise<readonly Uint8Array[]> {
    const { conn, log, memory, peerName, callerName, times } = this.#options;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.close();
    }, times.requestTimeoutMs);
    try {
      const parts = await readFrame(conn, MAX_DISPATCH_BYTES, (held) => {
        this.#account.hold(held, 0);
        return this.#account.room();
      });
      this.#account.hold(0, parts.reduce((sum, { length }) => sum + length, 0));
      return parts;
    } catch (error) {
      if (this.#refused) {
        log.warn("request_oversized", { peer: peerName, limit_bytes: memory.limitBytes, held_bytes: memory.heldBytes });
        throw new BadFrameError("The daemon holds as many bytes of requests as it may");
      }
      if (late) throw new BadFrameError("The frame did not come in time");
      if (error instanceof OversizedFrameError) {
        log.limited(callerName).warn("request_oversized", { peer: peerName, limit_bytes: MAX_DISPATCH_BYTES });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Notice when the client is gone: reading shows it, or only asking the kernel does. */
  #watch(): void {
    this.#asking = true;
    this.#options.conn.read(new Uint8Array(1)).catch(() => null).then((count) => {
      // Extra bytes are ignored; after them reading would not show the end.
      if (count === null && this.#asking) this.inputEnded();
    });
    this.lookForHangUp();
  }
}

/** Parse a frame; after each few of its parts others run. */
async function readRequest(parts: readonly Uint8Array[]): Promise<ReturnType<typeof readDispatchRequest>> {
  // A byte order mark is not JSON: it is kept, so that parsing refuses it.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  // Frames are so short that their texts are put together quickly.
  const line = new LargeLine(false);
  for (const [index, part] of parts.entries()) {
    try {
      line.add(decoder.decode(part, { stream: index + 1 < parts.length }));
    } catch {
      throw new BadFrameError("The frame is not valid UTF-8");
    }
    if (index % PARTS_PER_TURN === PARTS_PER_TURN - 1) await turn();
  }
  let value: unknown;
  try {
    value = line.take();
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new BadFrameError("The frame is not valid JSON, or holds too many values");
  }
  try {
    return readDispatchRequest(value);
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    throw new BadFrameError("The frame is no dispatch request");
  }
}
