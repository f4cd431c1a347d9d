/** A conversation with a model: its history, and the answer in progress. */
import { type Client, InferdError, InvalidRequestError, type Message, type SamplingOptions } from "@inferd/client";
import { whileAnswering } from "./loading.ts";
import type { Target } from "./reach.ts";
import { describe } from "./run_request.ts";
import { AnswerPrinter } from "./terminal/answer_printer.ts";
import { complain, remark } from "./terminal/output.ts";
import { AnswerClock, statsOf } from "./terminal/stats_line.ts";

export interface ConversationOptions {
  /** Where the daemon is. */
  readonly where: Target;
  readonly system: string | undefined;
  readonly sampling: SamplingOptions;
  readonly thinking: boolean;
  /** The requested model; default: the daemon's first. */
  readonly model: string | undefined;
  /** The model's display name. */
  readonly name: string | undefined;
  /** Print timings after each answer. */
  readonly stats: boolean;
  /** As in `AnswerPrinter`. */
  readonly raw: boolean;
}

export class Conversation {
  #name: string | undefined;
  #model: string | undefined;
  /** The last user message, if unanswered. */
  #unanswered: string | undefined;
  readonly #client: Client;
  readonly #options: ConversationOptions;
  #system: string | undefined;
  #sampling: SamplingOptions;
  /** The history, without the system message. */
  #messages: Message[] = [];
  #running: AbortController | undefined;
  #failed = false;

  constructor(client: Client, options: ConversationOptions) {
    this.#client = client;
    this.#options = options;
    this.#system = options.system;
    this.#sampling = options.sampling;
    this.#name = options.name;
    this.#model = options.model;
  }

  get name(): string | undefined {
    return this.#name;
  }

  async models(): Promise<string[]> {
    const served = await this.#client.models();
    return served.flatMap(({ model, v2 }) => v2 && model !== undefined ? [model] : []);
  }

  talkTo(model: string): void {
    [this.#name, this.#model] = [model, model];
  }

  /** Whether a message could not be answered. */
  get failed(): boolean {
    return this.#failed;
  }

  get messages(): readonly Message[] {
    const system: Message[] = this.#system === undefined ? [] : [{ role: "system", content: this.#system }];
    return [...system, ...this.#messages];
  }

  reset(): void {
    this.#messages = [];
  }

  /** Set the system message; `undefined` removes it. */
  instruct(system: string | undefined): void {
    this.#system = system;
  }

  /** Change sampling parameters; `undefined` ones are kept. */
  sample(change: Partial<SamplingOptions>): void {
    const given = Object.entries(change).filter(([, value]) => value !== undefined);
    this.#sampling = { ...this.#sampling, ...Object.fromEntries(given) };
  }

  /** Replace the history, and the system message if the messages begin with one. */
  restore(messages: readonly Message[]): void {
    const [first] = messages;
    const system = first?.role === "system" && typeof first.content === "string" ? first.content : undefined;
    this.#system = system ?? this.#system;
    this.#messages = messages.slice(system === undefined ? 0 : 1);
  }

  /** Remove the last user message and its answer; returns the message, if there was one. */
  undo(): string | undefined {
    const unanswered = this.#unanswered;
    this.#unanswered = undefined;
    if (unanswered !== undefined) return unanswered;
    const at = this.#messages.findLastIndex(({ role }) => role === "user");
    const content = this.#messages[at]?.content;
    if (at < 0 || typeof content !== "string") return undefined;
    this.#messages = this.#messages.slice(0, at);
    return content;
  }

  /** Stop the answer in progress; returns whether there was one. */
  stop(): boolean {
    this.#running?.abort();
    return this.#running !== undefined;
  }

  /**
   * Send a message and print the answer. A stopped answer stays in the history; when the history exceeds the context,
   * the oldest messages are dropped.
   */
  async say(text: string): Promise<void> {
    const before = this.#messages;
    this.#unanswered = undefined;
    const running = this.#running = new AbortController();
    this.#messages = [...before, { role: "user", content: text }];
    const printer = new AnswerPrinter({ raw: this.#options.raw });
    let answer = "";
    let dropped = 0;
    try {
      for (;;) {
        try {
          await this.#answer(printer, running.signal, (piece) => answer += piece);
          break;
        } catch (error) {
          const tooLong = error instanceof InvalidRequestError && error.reason === "context_length";
          const gone = tooLong && answer === "" ? this.#dropOldest() : 0;
          if (gone === 0) throw error;
          dropped += gone;
        }
      }
    } catch (error) {
      await printer.breakOff();
      if (running.signal.aborted) remark("(stopped)");
      else if (error instanceof InferdError) {
        this.#failed = true;
        complain(`inferd: ${describe(error)}`);
      } else throw error;
      if (answer === "") [this.#messages, this.#unanswered] = [before, text];
    } finally {
      this.#running = undefined;
    }
    if (dropped > 0 && answer !== "") {
      remark(
        `(the context is full: ${
          dropped === 1 ? "the oldest message was" : `the ${dropped} oldest messages were`
        } forgotten)`,
      );
    }
    if (answer !== "") this.#messages.push({ role: "assistant", content: answer });
  }

  async #answer(printer: AnswerPrinter, signal: AbortSignal, onText: (text: string) => void): Promise<void> {
    const { thinking, stats, where } = this.#options;
    const model = this.#model === undefined ? {} : { model: this.#model };
    const request = { messages: this.messages, thinking, ...this.#sampling, ...model };
    const clock = new AnswerClock();
    for await (const event of whileAnswering(where, this.#client.generate(request, { signal }))) {
      clock.tick();
      if (event.type === "text") onText(event.text);
      await printer.event(event);
      if (event.type === "done" && stats) remark(`(${statsOf(event, clock)})`);
    }
  }

  /** Drop the oldest user message and its answer, but never the last message; returns how many were dropped. */
  #dropOldest(): number {
    const next = this.#messages.findIndex(({ role }, index) => index > 0 && role === "user");
    if (next < 0) return 0;
    this.#messages = this.#messages.slice(next);
    return next;
  }
}
