/** The implementation of a running generation: its text as an iterable, and its listeners. */
import type { AnswerText } from "./generation_events.ts";
import { Exchange } from "./wire/exchange.ts";

/** The fields of every event, and those of text events. */
interface AnyEvent {
  readonly type: string;
  readonly text?: unknown;
}

/** A running generation. */
export class ActiveGeneration<Event extends AnyEvent, Result extends { readonly text: string }>
  extends Exchange<Event, Result> {
  readonly #listeners: { readonly type: string; readonly listener: (event: never) => void }[] = [];
  #text: AnswerText | undefined;

  get text(): AnswerText {
    return this.#text ??= Object.assign(async () => (await this.result()).text, {
      [Symbol.asyncIterator]: () => this.#pieces(),
    });
  }

  on(type: string, listener: (event: never) => void): this {
    this.#listeners.push({ type, listener });
    return this;
  }

  protected override notify(event: Event): void {
    for (const { type, listener } of this.#listeners) if (type === event.type) listener(event as never);
  }

  #pieces(): AsyncIterator<string, void> {
    const events = this[Symbol.asyncIterator]();
    const next = async (): Promise<IteratorResult<string, void>> => {
      for (;;) {
        const { done, value } = await events.next();
        if (done || value === undefined) return { done: true, value: undefined };
        if (value.type === "text") return { done: false, value: String(value.text) };
      }
    };
    const leave = async (): Promise<IteratorResult<string, void>> => {
      await events.return?.();
      return { done: true, value: undefined };
    };
    return { next, return: leave };
  }
}
