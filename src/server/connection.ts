/** One client of an inference surface: lines in, requests in order, frames out. */
import { delay } from "@std/async";
import { AUTH_TIMEOUT_MS, MAX_FRAME_BYTES } from "@inferd/client/protocol";
import { BackendUnavailableError } from "../inference/errors.ts";
import { FrameTooLargeError } from "../pipeline/errors.ts";
import type { Caller, Pipeline } from "../pipeline/pipeline.ts";
import { idOf, type ResolvedRequest } from "../pipeline/resolve.ts";
import { turn } from "../inference/turn.ts";
import type { Surface } from "../surfaces/surface.ts";
import { type Authenticator, isAuthFrame } from "./auth.ts";
import { BaseConnection, type BaseOptions } from "./base_connection.ts";
import { FrameReader, type ReadEnd } from "./frame_reader.ts";
import { type LargeLine, parseLine } from "./json_line.ts";
import type { Account, MemoryBudget } from "./memory_budget.ts";
import type { Pace } from "../ndjson/pace.ts";
import { HALF_CLOSED_MS } from "./peer.ts";
import type { RefusalRate } from "./refusal_rate.ts";

/** Maximum bytes of later requests read ahead while one is served. */
const READ_AHEAD_BYTES = 256 * 1024;
/** How long a client that broke a rule may keep sending before it is cut, in milliseconds. */
const LINGER_MS = 10_000;
/** A connection's timeouts, in milliseconds. */
export interface ConnectionTimes {
  readonly idleWriteTimeoutMs: number;
  readonly authTimeoutMs: number;
  readonly lingerMs: number;
  /** Maximum idle time of the connection; absent: unlimited. */
  readonly idleMs?: number;
  /** For a client that has closed its sending side where the kernel cannot say whether it is still there. */
  readonly halfClosedMs: number;
}

/** The timeouts in production. */
export const DEFAULT_TIMES: ConnectionTimes = {
  idleWriteTimeoutMs: 30_000,
  authTimeoutMs: AUTH_TIMEOUT_MS,
  lingerMs: LINGER_MS,
  halfClosedMs: HALF_CLOSED_MS,
};

export interface ConnectionOptions extends BaseOptions {
  readonly surface: Surface;
  readonly pipeline: Pipeline;
  /** Absent: no authentication line is required. */
  readonly authenticator?: Authenticator;
  readonly times: ConnectionTimes;
  /** Shared by all connections of the daemon. */
  readonly memory: MemoryBudget;
  /** Shared by all connections of the daemon. */
  readonly refusals: RefusalRate;
  /** Shared by all connections of the daemon. */
  readonly pace: Pace;
}

export class Connection extends BaseConnection {
  readonly #options: ConnectionOptions;
  readonly #isTcp: boolean;
  readonly #account: Account;
  readonly #reader: FrameReader;
  readonly #caller: Caller;
  /** When the request that came last began to be read. */
  #resolvedAt = 0;

  constructor(options: ConnectionOptions) {
    super(options);
    this.#options = options;
    this.#isTcp = options.conn.localAddr.transport === "tcp";
    this.#caller = {
      signal: this.signal,
      name: options.callerName,
      send: (frame) => this.send(frame),
      drop: (why) => this.gone(why),
    };
    // Nothing is read ahead for an unauthenticated client.
    const limits = options.authenticator === undefined
      ? { maxBytes: MAX_FRAME_BYTES, readAheadBytes: READ_AHEAD_BYTES }
      : { maxBytes: options.authenticator.maxLineBytes, readAheadBytes: 0 };
    this.#account = options.memory.open(options.callerName, () => this.#reader.refuse());
    const events = {
      onDry: () => this.#allAnswered(),
      onPause: () => this.lookForHangUp(),
      onEnd: (end: ReadEnd) => this.#readEnded(end),
    };
    this.#reader = new FrameReader(options.conn, limits, events, { account: this.#account, pace: options.pace });
  }

  protected override get blind(): boolean {
    return this.#reader.blind;
  }

  protected override async serve(): Promise<void> {
    using _account = this.#account;
    using _reader = this.#reader;
    if (await this.#admitted()) await this.#serve();
  }

  /** Whether the client is authorized. Others get no answer. */
  async #admitted(): Promise<boolean> {
    const { authenticator, times } = this.#options;
    if (authenticator === undefined) return true;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.closeNow();
    }, times.authTimeoutMs);
    try {
      const line = await this.#reader.next();
      if (late) return this.#rejected("late");
      const { violation } = this.#reader;
      if (line === undefined && violation === undefined) return this.#rejected("missing");
      if (line === undefined && violation instanceof FrameTooLargeError) return this.#rejected("too large");
      if (typeof line !== "string" || !await authenticator.accepts(line)) return this.#rejected("wrong");
    } finally {
      clearTimeout(timer);
    }
    this.#reader.allow({ maxBytes: MAX_FRAME_BYTES, readAheadBytes: READ_AHEAD_BYTES });
    return true;
  }

  #rejected(reason: string): false {
    this.#options.log.limited(this.#options.callerName).warn("tcp_auth_rejected", {
      peer: this.#options.peerName,
      reason,
    });
    return false;
  }

  async #serve(): Promise<void> {
    const { pipeline, log, peerName, callerName, memory } = this.#options;
    const { signal } = this;
    for (let first = true; !signal.aborted; first = false) {
      await this.#rest();
      // No variable here holds the line: it may be 64 MiB, and would stay alive while its request runs.
      const step = await this.#resolve(await this.#reader.next(), first);
      const tookMs = performance.now() - this.#resolvedAt;
      if (signal.aborted || step === "end") break;
      const isRefused = typeof step === "string" || !await pipeline.handle(step, this.#caller);
      if (isRefused) this.#options.refusals.charge(callerName, tookMs);
      if (step === "unreadable") return await this.#closeGently();
      // Requests that are refused immediately would otherwise follow each other without a pause.
      if (!this.#reader.dry) await turn();
    }
    const { violation } = this.#reader;
    if (!signal.aborted && violation !== undefined) {
      if (violation instanceof FrameTooLargeError) {
        log.limited(callerName).warn("request_oversized", {
          peer: peerName,
          limit_bytes: this.#reader.refused ? memory.limitBytes : MAX_FRAME_BYTES,
          ...(this.#reader.refused ? { held_bytes: memory.heldBytes } : {}),
        });
      }
      pipeline.reject("", this.#caller, violation);
      return await this.#closeGently();
    }
    await this.writer.flush();
  }

  /** Make a caller that is refused too often wait, also on its new connections. */
  async #rest(): Promise<void> {
    const { refusals, callerName } = this.#options;
    for (let waitMs = refusals.waitMs(callerName); waitMs > 0; waitMs = refusals.waitMs(callerName)) {
      if (this.signal.aborted) return;
      await delay(waitMs, { signal: this.signal }).catch(() => {});
    }
  }

  /** Turn a line into a request; one that is not a request is answered here. */
  async #resolve(
    line: string | LargeLine | undefined,
    first: boolean,
  ): Promise<ResolvedRequest | "end" | "unreadable" | "answered"> {
    const { pipeline, surface, authenticator, draining, pace } = this.#options;
    if (line === undefined) return "end";
    this.#resolvedAt = performance.now();
    this.setBusy(true);
    let value: unknown;
    try {
      value = typeof line === "string" ? parseLine(line) : line.take();
    } catch (error) {
      pipeline.reject("", this.#caller, error);
      return "unreadable";
    }
    // A client that has a key sends it; a daemon without one ignores it.
    if (first && this.#isTcp && authenticator === undefined && isAuthFrame(value)) return "answered";
    if (typeof line !== "string") {
      await surface.prepare?.(value, async (workedMs) => await (pace.rest(workedMs) ?? turn()));
      this.#resolvedAt = performance.now();
    }
    try {
      if (draining()) throw new BackendUnavailableError("The daemon is shutting down");
      return surface.read(value);
    } catch (error) {
      pipeline.reject(idOf(value), this.#caller, error);
      return "answered";
    }
  }

  async #allAnswered(): Promise<void> {
    await this.writer.flush();
    this.setBusy(false);
  }

  #readEnded(end: ReadEnd): void {
    // On TCP the end of the stream means that the client has closed; on a unix socket it may just have no more requests
    if (end === "broken" || (end === "eof" && this.#isTcp)) return this.gone("The client closed the connection");
    if (end === "eof") this.inputEnded();
    else this.lookForHangUp();
  }

  /**
   * Close so that the client can read the last frame: unread bytes from the client would turn the close into a reset,
   * which would overtake the frame.
   */
  async #closeGently(): Promise<void> {
    await this.#allAnswered();
    const timer = setTimeout(() => this.closeNow(), this.#options.times.lingerMs);
    try {
      await this.#options.conn.closeWrite();
      await this.#reader.discard();
    } catch {
      // Closed in the meantime.
    } finally {
      clearTimeout(timer);
    }
  }
}
