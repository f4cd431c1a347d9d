/**
 * An engine process under test, spoken to as the daemon would. It is read only while something is awaited, so that one
 * child can serve many steps without an operation being open between them.
 */
import { engineCommand } from "../../src/engine/ipc/command.ts";
import type { EngineConfig, EngineEvent, EngineRequest, FromEngine, ToEngine } from "../../src/engine/ipc/messages.ts";
import { type ChatMessage, type JsonObject, PLAIN, type TokenizerRequest } from "../../src/inference/request.ts";

/** The built-in model. */
export const MODEL_PATH = new URL("../../models/inferd-tiny.gguf", import.meta.url).pathname;

/** How a request ended. */
export interface Answer {
  readonly text: string;
  /** The text as it came. */
  readonly pieces: readonly string[];
  readonly thinking: string;
  readonly calls: readonly { readonly name: string; readonly input: JsonObject }[];
  readonly done?: Extract<EngineEvent, { done: unknown }>;
  readonly error?: Extract<EngineEvent, { error: unknown }>;
}

/** What a request is, where it is not the usual: greedy, 100 tokens, no stop strings. */
export type Ask = Partial<Omit<EngineRequest, "messages">>;

const encoder = new TextEncoder();

function isLast(event: EngineEvent): boolean {
  return !("t" in event || "think" in event || "call" in event);
}

/** A running engine. */
export class EngineChild implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #messages: FromEngine[] = [];
  readonly #events = new Map<number, EngineEvent[]>();
  #rest = "";
  #lastId = 0;

  private constructor(variables: Readonly<Record<string, string>> = {}) {
    const { command, args, env } = engineCommand();
    this.#child = new Deno.Command(command, {
      args: [...args],
      env: { ...env, ...variables },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Start one and tell it nothing; with these variables besides its own. */
  static spawn(variables: Readonly<Record<string, string>> = {}): EngineChild {
    return new EngineChild(variables);
  }

  /** Start one and wait until it is ready. */
  static async start(config: Partial<EngineConfig> = {}): Promise<EngineChild> {
    const engine = new EngineChild();
    await engine.load(config);
    await engine.until((message) => message.type === "ready");
    return engine;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Send it a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Everything but steps that came so far. */
  get messages(): readonly FromEngine[] {
    return this.#messages;
  }

  load(config: Partial<EngineConfig> = {}): Promise<void> {
    return this.send({ op: "load", config: { modelPath: MODEL_PATH, modelName: "test", parallel: 4, ...config } });
  }

  send(message: ToEngine): Promise<void> {
    return this.write(JSON.stringify(message) + "\n");
  }

  write(text: string): Promise<void> {
    return this.#writer.write(encoder.encode(text));
  }

  /** Ask for an answer; returns the request's id. */
  async ask(prompt: string | readonly ChatMessage[], ask: Ask = {}): Promise<number> {
    const id = ++this.#lastId;
    const messages = typeof prompt === "string" ? [{ role: "user", content: prompt } as const] : prompt;
    const usual = { ...PLAIN, sampling: { temperature: 0, topP: 1, topK: 0 }, maxTokens: 100, stop: [] };
    this.#events.set(id, []);
    await this.send({ op: "generate", id, request: { messages, ...usual, ...ask } });
    return id;
  }

  /** Ask, and wait for the whole answer. */
  async answer(prompt: string | readonly ChatMessage[], ask: Ask = {}): Promise<Answer> {
    return await this.answerTo(await this.ask(prompt, ask));
  }

  /** Ask the tokenizer or the chat template; what comes of it, in one. */
  async tokenizer(request: TokenizerRequest): Promise<EngineEvent> {
    const id = ++this.#lastId;
    this.#events.set(id, []);
    await this.send({ op: "tokenizer", id, request });
    const tokens: number[] = [];
    for (let parts = 1;; parts++) {
      await this.untilEvents(id, parts);
      const event = this.eventsOf(id)[parts - 1] as EngineEvent;
      if (!("answer" in event) || !("tokens" in event.answer)) return event;
      tokens.push(...event.answer.tokens);
      if (event.left === undefined) return { id, answer: { tokens } };
      await this.send({ op: "more", id });
    }
  }

  /** Wait for the whole answer to a request. */
  async answerTo(id: number): Promise<Answer> {
    const events = this.eventsOf(id);
    while (!events.some(isLast)) await this.#read();
    const last = events.at(-1) as EngineEvent;
    const pieces = events.flatMap((event) => "t" in event ? [event.t] : []);
    return {
      text: pieces.join(""),
      pieces,
      thinking: events.flatMap((event) => "think" in event ? [event.think] : []).join(""),
      calls: events.flatMap((event) => "call" in event ? [{ name: event.call, input: event.input }] : []),
      ...("done" in last ? { done: last } : {}),
      ...("error" in last ? { error: last } : {}),
    };
  }

  /** The events of a request so far; grows. */
  eventsOf(id: number): EngineEvent[] {
    return this.#events.get(id) as EngineEvent[];
  }

  /** Wait for the next message that is not a step, and is wanted. */
  async until(wanted: (message: FromEngine) => boolean): Promise<FromEngine> {
    for (let seen = 0;;) {
      for (; seen < this.#messages.length; seen++) {
        const message = this.#messages[seen] as FromEngine;
        if (wanted(message)) return message;
      }
      await this.#read();
    }
  }

  /** Wait until a request has this many events. */
  async untilEvents(id: number, count: number): Promise<void> {
    while (this.eventsOf(id).length < count) await this.#read();
  }

  /** Read to the end of its output, and wait for it to go. */
  async exit(): Promise<Deno.CommandStatus> {
    while (await this.#read(true));
    return await this.#child.status;
  }

  /** Say that nothing more will be asked. */
  closeInput(): Promise<void> {
    return this.#writer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has gone already
    }
    await this.#writer.abort().catch(() => {});
    await this.#reader.cancel().catch(() => {});
    await this.#child.status;
  }

  async #read(mayEnd = false): Promise<boolean> {
    const { value, done } = await this.#reader.read();
    if (done) {
      if (mayEnd) return false;
      throw new Error(`The engine went: ${JSON.stringify(this.#messages)}`);
    }
    const lines = (this.#rest + value).split("\n");
    this.#rest = lines.pop() as string;
    for (const line of lines) {
      const message = JSON.parse(line) as FromEngine;
      if (message.type !== "step") this.#messages.push(message);
      else for (const event of message.events) this.#events.get(event.id)?.push(event);
    }
    return true;
  }
}
