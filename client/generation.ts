/**
 * One request and its answer: the events, the result, cancelling. Decides when a connection may be used again and when
 * a request may be sent a second time; what is in a frame is `frames.ts`'s.
 */
import { MAX_FRAME_BYTES, type V1Message, type V1StopReason } from "./protocol/mod.ts";
import { type Connection, encodeFrame } from "./connection.ts";
import { CancelledError, FrameTooLargeError, withCallerStack } from "./errors.ts";
import { readGenerationFrame, v1Request } from "./frames.ts";
import { interruptible } from "./interruptible.ts";
import type { CancelOptions } from "./options.ts";
import type { Lease, Pool } from "./pool.ts";

/** What to generate. What is left out is the daemon's default. */
export interface GenerateRequest {
  /** The conversation, not empty. */
  readonly messages: readonly Readonly<V1Message>[];
  /** What the request is called in the daemon's log. Default: a random UUID. */
  readonly id?: string | undefined;
  /** 0 … 2; 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** 0 < x ≤ 1. Default 0.95. */
  readonly topP?: number | undefined;
  /** 0 (off) … vocabulary size. Default 64. */
  readonly topK?: number | undefined;
  /** At least 1. Default 1000. */
  readonly maxTokens?: number | undefined;
  /** `false`: no `token` events, the whole text comes in `done`. Default `true`. */
  readonly stream?: boolean | undefined;
  /** One of 70, 140, 280, 560, 1120; carried, not used. */
  readonly imageTokenBudget?: number | undefined;
  /** A GBNF grammar the answer has to follow. */
  readonly grammar?: string | undefined;
  /** Makes sampling repeatable. */
  readonly seed?: number | undefined;
  /** At most 16 strings that end the answer; none of them is ever part of it. */
  readonly stop?: readonly string[] | undefined;
}

/** Token counts of one answer. */
export interface Usage {
  /** Tokens of the rendered conversation. */
  readonly promptTokens: number;
  /** Tokens generated. */
  readonly completionTokens: number;
}

/** Why an answer ended; a newer daemon may know more reasons. */
export type StopReason = V1StopReason | (string & Record<never, never>);

/** A complete answer. */
export interface GenerationResult {
  /** The whole text. */
  readonly text: string;
  /** Token counts. */
  readonly usage: Usage;
  /** Why it ended. */
  readonly stopReason: StopReason;
  /** Which backend answered; for diagnosis only. */
  readonly backend: string;
}

/** A piece of the answer. */
export interface TokenEvent {
  /** Discriminates the event. */
  readonly type: "token";
  /** The piece; whole characters. */
  readonly text: string;
}

/** The answer is complete; the last event. */
export interface DoneEvent extends GenerationResult {
  /** Discriminates the event. */
  readonly type: "done";
}

/** What a generation yields: any number of `token`, then one `done`. Failures are thrown. */
export type GenerationEvent = TokenEvent | DoneEvent;

/**
 * A running request. It was sent when this was made; take its events in a loop, or ask for its result.
 *
 * The events can be iterated once. Leaving the loop early cancels the request on the daemon. Nothing is read ahead of
 * the consumer, so a consumer that stops taking events holds the daemon back, which cuts off one that takes nothing
 * for 30 s.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function show(client: Client): Promise<void> {
 *   const generation = client.generate("Tell me a story about a fox.");
 *   for await (const event of generation) {
 *     if (event.type === "token") console.log(event.text);
 *   }
 *   const { usage, stopReason } = await generation.result();
 *   console.log(usage.completionTokens, stopReason);
 * }
 * ```
 */
export interface Generation extends AsyncIterable<GenerationEvent> {
  /** The request's id, as in the daemon's log. */
  readonly id: string;

  /**
   * The complete answer. Asked for before any loop, it takes the events itself, and they can no longer be iterated.
   *
   * @returns The answer. Asked again, the same.
   * @throws {QueueFullError} If the daemon has no place.
   * @throws {BackendUnavailableError} If no backend can answer, or it failed while it did.
   * @throws {InvalidRequestError} If the request breaks a rule.
   * @throws {FrameTooLargeError} If the request is over the frame limit.
   * @throws {InternalError} If the daemon has a bug.
   * @throws {ConnectError} If there is no connection to be had.
   * @throws {ConnectionClosedError} If the daemon went away.
   * @throws {ProtocolError} If what came is not the protocol.
   * @throws {CancelledError} If the loop over the events was left early.
   * @throws {ClientClosedError} If the client was closed meanwhile.
   * @throws The signal's reason, if it was aborted.
   */
  result(): Promise<GenerationResult>;

  /**
   * The text of the complete answer.
   *
   * @returns The text, see {@linkcode Generation.result}.
   * @throws What {@linkcode Generation.result} throws.
   */
  text(): Promise<string>;
}

/** What a running request needs. */
export interface GenerationContext {
  readonly pool: Pool;
  /** Made where the call came in, for the stacks of errors. */
  readonly call: Error;
  /** Called once, when the request is over. */
  readonly onSettled: (generation: ActiveGeneration) => void;
}

/** The one implementation of {@linkcode Generation}. */
export class ActiveGeneration implements Generation {
  readonly id: string;
  readonly #context: GenerationContext;
  readonly #signal: AbortSignal | undefined;
  readonly #frame: Uint8Array;
  readonly #outcome: Promise<GenerationResult>;
  #resolve!: (result: GenerationResult) => void;
  #reject!: (error: unknown) => void;
  /** Gives up connecting. */
  readonly #cut = new AbortController();
  readonly #sent: Promise<Lease>;
  #connection: Connection | undefined;
  #consumer: "loop" | "result" | undefined;
  #over = false;
  #failure: { readonly error: unknown } | undefined;

  /**
   * Send a request.
   *
   * @param request What to generate.
   * @param options `signal`, and what it needs.
   * @throws {TypeError} If the request cannot be said in JSON.
   */
  constructor(request: string | GenerateRequest, options: CancelOptions & GenerationContext) {
    const full = typeof request === "string" ? { messages: [{ role: "user" as const, content: request }] } : request;
    this.id = full.id ?? crypto.randomUUID();
    this.#frame = encodeFrame(v1Request(full, this.id));
    this.#context = options;
    this.#signal = options.signal;
    this.#outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A failure is told to whoever takes events or asks for the result; that nobody does is no crash.
    this.#outcome.catch(() => {});
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#signal?.aborted) this.#onAbort();
    const bytes = this.#frame.length - 1;
    if (bytes > MAX_FRAME_BYTES) {
      this.cancel(new FrameTooLargeError(`The request is ${bytes} bytes long, at most ${MAX_FRAME_BYTES} are allowed`));
    }
    this.#sent = this.#over ? Promise.reject(this.#failure?.error) : this.#send((signal) => this.#pool.lease(signal));
    this.#sent.catch(() => {});
  }

  /** Whether it is answered, failed or cancelled. */
  get over(): boolean {
    return this.#over;
  }

  get #pool(): Pool {
    return this.#context.pool;
  }

  /**
   * End the request if it is not over yet; the daemon sees its connection closed.
   *
   * @param error What consumers are told.
   * @returns What consumers are told: this error, or an earlier one.
   */
  cancel(error: unknown): unknown {
    if (!this.#over) {
      this.#failure = { error: withCallerStack(error, this.#context.call) };
      this.#cut.abort();
      this.#connection?.close();
      this.#settle();
      this.#reject(error);
    }
    return this.#failure?.error;
  }

  [Symbol.asyncIterator](): AsyncIterator<GenerationEvent, void> {
    if (this.#consumer === "loop") throw new TypeError("Cannot iterate a generation twice");
    if (this.#consumer === "result") {
      throw new TypeError("Cannot iterate a generation after its result was asked for: the events are gone");
    }
    this.#consumer = "loop";
    return interruptible(this.#events(), () => {
      this.cancel(new CancelledError("The answer was cancelled: the loop over its events was left"));
    });
  }

  result(): Promise<GenerationResult> {
    if (this.#consumer === undefined) {
      this.#consumer = "result";
      void this.#drain();
    }
    return this.#outcome;
  }

  async text(): Promise<string> {
    return (await this.result()).text;
  }

  readonly #onAbort = (): void => {
    this.cancel(this.#signal?.reason);
  };

  async #drain(): Promise<void> {
    try {
      for await (const _event of this.#events());
    } catch {
      // Told by the outcome.
    }
  }

  async #send(lend: (signal: AbortSignal) => Promise<Lease>): Promise<Lease> {
    const lease = await lend(this.#cut.signal);
    if (this.#over) {
      this.#pool.release(lease.connection);
      throw this.#failure?.error;
    }
    this.#connection = lease.connection;
    lease.connection.send(this.#frame);
    return lease;
  }

  async *#events(): AsyncGenerator<GenerationEvent, void, void> {
    try {
      let { connection, reused } = await this.#sent;
      const before = connection.received;
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const line = connection.take();
        if (line === undefined) {
          if (await connection.fill()) continue;
          // A connection that lay idle may have died there, and the daemon tells nobody. As not one byte of an answer
          // came, and generating changes nothing, the request is sent again: once, on a new connection.
          if (this.#over || !reused || connection.received !== before) throw connection.closedError();
          connection.close();
          ({ connection, reused } = await this.#send((signal) => this.#pool.leaseNew(signal)));
          continue;
        }
        const event = connection.read(() => readGenerationFrame(line, this.id));
        if (event === undefined) continue;
        if (event.type === "error") {
          // Whatever the daemon could not read, it may answer once more.
          if (event.ours && !(event.error instanceof FrameTooLargeError)) this.#giveBack(connection);
          throw event.error;
        }
        if (event.type === "token") {
          yield event;
          continue;
        }
        this.#giveBack(connection);
        this.#settle();
        const { text, usage, stopReason, backend } = event;
        this.#resolve({ text, usage, stopReason, backend });
        yield event;
        return;
      }
    } catch (error) {
      throw this.cancel(error);
    }
  }

  #giveBack(connection: Connection): void {
    this.#connection = undefined;
    this.#pool.release(connection);
  }

  #settle(): void {
    this.#over = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#context.onSettled(this);
  }
}
