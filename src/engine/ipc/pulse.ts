/**
 * Heartbeat and input, between two steps and during a long one: reports that the engine is alive, and reads what the
 * daemon sends. Messages read during a step are handled after it. A cancel may abort the step, and so may a new request
 * if the step is speculative work.
 */
import { ChannelError, type Inbox, type Outbox } from "./channel.ts";
import type { ToEngine } from "./messages.ts";

/** Communicates with the daemon. */
export class Pulse {
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  /** Messages read during a step. */
  #early: ToEngine[] = [];
  /** The error of a failed read during a step. */
  #error: ChannelError | undefined;
  /** Requests cancelled by these messages. */
  readonly #cancelled = new Set<number>();
  /** Whether the current step is useless without these requests. */
  abandons: (ids: ReadonlySet<number>) => boolean = () => false;
  /** Whether the current step is aborted if a message arrives. */
  yields: () => boolean = () => false;

  constructor(inbox: Inbox, outbox: Outbox) {
    this.#inbox = inbox;
    this.#outbox = outbox;
  }

  /**
   * Look in during a step.
   *
   * @returns Whether the step is to be given up.
   */
  beat(): boolean {
    this.#outbox.add([]);
    try {
      let cancels = false;
      let asks = false;
      for (const message of this.#inbox.take()) {
        this.#early.push(message);
        asks ||= message.op === "generate" || message.op === "tokenizer" || message.op === "more";
        if (message.op !== "cancel") continue;
        this.#cancelled.add(message.id);
        cancels = true;
      }
      // At EOF there is no request left to compute.
      return this.#inbox.ended || (cancels && this.abandons(this.#cancelled)) || (asks && this.yields());
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      this.#error = error;
      return true;
    }
  }

  /**
   * What has come in. May be nothing.
   *
   * @throws {ChannelError} If the daemon sent something that is not a message.
   */
  take(): ToEngine[] {
    return [...this.#takeEarly(), ...this.#inbox.take()];
  }

  /**
   * Sleep until there is a message, or the end.
   *
   * @param ms Milliseconds after which there may be none; absent: however long that takes.
   * @throws {ChannelError} If the daemon sent something that is not a message.
   */
  wait(ms?: number): ToEngine[] {
    const early = this.#takeEarly();
    return early.length > 0 ? early : this.#inbox.wait(ms);
  }

  #takeEarly(): ToEngine[] {
    if (this.#error !== undefined) throw this.#error;
    const early = this.#early;
    this.#early = [];
    this.#cancelled.clear();
    return early;
  }
}
