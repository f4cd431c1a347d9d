/**
 * One request and its answer over a connection, for every surface. Decides when a connection may be reused and when a
 * request may be sent again; its codec handles the frames.
 */
import { Answer, type AnswerContext } from "../answer.ts";
import type { Connection } from "./connection.ts";
import { type DaemonError, FrameTooLargeError } from "../errors/daemon_errors.ts";
import { InferdError } from "../errors/errors.ts";
import type { Gate } from "../gate.ts";
import { DEFAULT_MAX_RETRIES, FIRST_RETRY_MS } from "../options.ts";
import { pause } from "../patience.ts";
import type { StatusHub } from "../status.ts";
import type { Lease, Pool } from "./pool.ts";
import { RequestLine } from "./request_line.ts";

/** A parsed error frame. `ours` is false if the daemon could not identify the request. */
export interface Failure {
  readonly type: "error";
  readonly error: DaemonError;
  readonly ours: boolean;
}

/** The meaning of a frame: an event, the last event and the result, or a failure. */
export type Step<Event, Result> =
  | { readonly type: "event"; readonly event: Event }
  | { readonly type: "end"; readonly event: Event; readonly result: Result }
  | Failure;

/** A surface's encoding of one request and parser of its answer. */
export interface Codec<Event, Result> {
  /** The id of the request. */
  readonly id: string;
  /** The request, as JSON. */
  readonly frame: unknown;
  /**
   * Read one line of the answer, in order; `undefined` for an unknown frame.
   *
   * @throws {ProtocolError} If it is no frame of the surface, or belongs to another request.
   */
  read(line: string): Step<Event, Result> | undefined;
}

/** The context of a running request. */
export interface ExchangeContext extends AnswerContext {
  readonly pool: Pool;
  /** Limits concurrent requests. */
  readonly gate: Gate;
  /** Distributes status events. */
  readonly hub: StatusHub;
}

/** A running request; sent by the constructor. */
export class Exchange<Event, Result> extends Answer<Event, Result> {
  readonly id: string;
  readonly #codec: Codec<Event, Result>;
  readonly #pool: Pool;
  readonly #line: RequestLine;
  /** Cancels connecting. */
  readonly #cut = new AbortController();
  readonly #context: ExchangeContext;
  /** Absent while it waits for other requests of this client. */
  #sent: Promise<Lease> | undefined;
  #connection: Connection | undefined;

  /** @throws {TypeError} If the request cannot be encoded in JSON. */
  constructor(codec: Codec<Event, Result>, context: ExchangeContext) {
    super(context);
    this.id = codec.id;
    this.#codec = codec;
    this.#pool = context.pool;
    this.#context = context;
    this.#line = new RequestLine(codec.frame);
    this.begin();
    try {
      this.#line.checkLength();
    } catch (error) {
      this.cancel(error);
    }
    if (!this.over && context.gate.tryEnter(this)) this.#sent = this.#start();
  }

  #start(): Promise<Lease> {
    const sent = this.#send((signal) => this.#pool.lease(signal));
    sent.catch(() => {});
    return sent;
  }

  /** Called for every event that is consumed. */
  protected notify(_event: Event): void {}

  protected override stop(): void {
    this.#cut.abort();
    this.#connection?.close();
  }

  async #send(lend: (signal: AbortSignal) => Promise<Lease>): Promise<Lease> {
    this.throwIfCancelled();
    const lease = await lend(this.#cut.signal);
    if (this.over) {
      this.#pool.release(lease.connection);
      this.throwIfCancelled();
    }
    this.#connection = lease.connection;
    const { bytes } = this.#line;
    const onSent = (bytes: number): void => this.#context.hub.tell({ type: "sent", id: this.id, bytes });
    if (bytes === undefined) {
      const onFailure = (error: unknown): void => {
        // Others show as the end of what comes.
        if (error instanceof FrameTooLargeError) this.cancel(error);
      };
      lease.connection.sendGradually(this.#line.pieces(), { onSent, onFailure });
    } else {
      lease.connection.send(bytes);
      onSent(bytes.length);
    }
    return lease;
  }

  protected override async *events(): AsyncGenerator<Event, void, void> {
    let started = false;
    for (let attempt = 1;; attempt++) {
      try {
        if (attempt === 1) await this.#enter();
        let { connection, reused } = await (this.#sent ??= this.#start());
        const before = connection.received;
        for (;;) {
          this.throwIfCancelled();
          const line = connection.take();
          if (line === undefined) {
            if (await connection.fill()) continue;
            // A connection that lay idle may have died there, and the daemon tells nobody. As not one byte of an answer
            // came, and no request changes anything, it is sent again: once, on a new connection.
            if (this.over || !reused || connection.received !== before) throw connection.closedError();
            connection.close();
            ({ connection, reused } = await this.#send((signal) => this.#pool.leaseNew(signal)));
            continue;
          }
          const step = connection.read(() => this.#codec.read(line));
          if (step === undefined) continue;
          if (step.type === "error") {
            // The daemon may answer once more for data it could not parse.
            if (step.ours && !(step.error instanceof FrameTooLargeError)) this.#giveBack(connection);
            throw step.error;
          }
          if (step.type === "end") {
            this.#giveBack(connection);
            this.succeed(step.result);
          }
          started = true;
          this.notify(step.event);
          yield step.event;
          if (step.type === "end") return;
        }
      } catch (error) {
        const { maxRetries = DEFAULT_MAX_RETRIES } = this.#context;
        const mayRetry = !started && !this.over && attempt <= maxRetries && error instanceof InferdError &&
          error.retryable;
        if (!mayRetry) throw this.cancel(error);
        await this.#backOff(attempt, error);
      }
    }
  }

  async #enter(): Promise<void> {
    this.throwIfCancelled();
    try {
      await this.#context.gate.enter(this, this.#cut.signal);
    } catch (error) {
      this.throwIfCancelled();
      throw error;
    }
  }

  /** Wait before the next attempt, and discard the lease. */
  async #backOff(attempt: number, error: Error): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    this.#sent = undefined;
    // Jitter: requests that failed together are not retried together.
    const delayMs = Math.round(FIRST_RETRY_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    this.#context.hub.tell({ type: "retrying", id: this.id, attempt, delayMs, error });
    // The next attempt checks for a cancellation meanwhile.
    await pause(delayMs, this.#cut.signal).catch(() => {});
  }

  #giveBack(connection: Connection): void {
    this.#connection = undefined;
    this.#pool.release(connection);
  }
}
