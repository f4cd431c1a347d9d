/**
 * Tools that are run as the model calls them: one request after the other until an answer calls none. Every request is
 * a generation of its own; the conversation is kept here.
 */
import type { Block, Message, Tool, ToolInput, ToolResultBlock, ToolUse } from "./blocks.ts";
import { Answer, type AnswerContext } from "./answer.ts";
import { StepLimitError, UnknownToolError } from "./errors.ts";
import type { Usage } from "./generation.ts";
import type {
  DoneV2Event,
  GenerateV2Fields,
  GenerationV2,
  GenerationV2StopReason,
  TextEvent,
  ThinkingEvent,
} from "./generation_v2.ts";
import type { CancelOptions } from "./options.ts";
import type { JsonFields, JsonSchema } from "./schema.ts";

const DEFAULT_MAX_STEPS = 8;

/**
 * What a tool's function is told besides its arguments.
 *
 * @example
 * ```ts
 * import type { ToolContext } from "@inferd/client";
 *
 * export async function page(input: { url: string }, { signal }: ToolContext): Promise<string> {
 *   return await (await fetch(input.url, { signal })).text();
 * }
 * ```
 */
export interface ToolContext {
  /** Aborted when the run is cancelled. */
  readonly signal: AbortSignal;
  /** The id of the call. */
  readonly toolCallId: string;
}

/**
 * Does what a tool says. What it returns, or resolves to, is told to the model: text as it is, all else as JSON, and
 * `null` where that has none, as nothing or a function. What it throws is told, too.
 *
 * @example
 * ```ts
 * import type { ToolFunction } from "@inferd/client";
 *
 * export const now: ToolFunction = () => new Date().toISOString();
 * ```
 */
export type ToolFunction<Input = JsonFields> = (input: Input, context: ToolContext) => unknown;

/**
 * The functions of a request's tools, by name.
 *
 * @example
 * ```ts
 * import type { Tool, ToolFunctions } from "@inferd/client";
 *
 * const tools = [{ name: "now", description: "The time", inputSchema: { type: "object" } }] as const satisfies Tool[];
 *
 * export const functions: ToolFunctions<typeof tools> = { now: () => new Date().toISOString() };
 * ```
 */
export type ToolFunctions<Tools extends readonly Tool[] = readonly Tool[]> = {
  readonly [Name in Tools[number]["name"]]: ToolFunction<InputOf<Tools[number], Name>>;
};

/**
 * The arguments of the tool with this name.
 *
 * @internal
 */
type InputOf<One extends Tool, Name> = One extends Tool
  ? Name extends One["name"] ? ToolInput<One["inputSchema"]> : never
  : never;

/**
 * A tool and its function in one.
 *
 * @example
 * ```ts
 * import type { ToolDefinition } from "@inferd/client";
 *
 * export const now: ToolDefinition = {
 *   description: "The time",
 *   inputSchema: { type: "object" },
 *   run: () => new Date().toISOString(),
 * };
 * ```
 */
export interface ToolDefinition<Schema = JsonSchema> {
  /** What it does, for the model. */
  readonly description: string;
  /** JSON Schema of its arguments; an object's. */
  readonly inputSchema: Schema;
  /**
   * Does it, see {@linkcode ToolFunction}.
   *
   * @param input The arguments of the call.
   * @param context Which call it is, and when to give up.
   * @returns What the model is told, or a promise of it.
   *
   * @example
   * ```ts
   * import { tool } from "@inferd/client";
   *
   * export const add = tool({
   *   description: "The sum of two numbers",
   *   inputSchema: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
   *   run: ({ a, b }) => a + b,
   * });
   *
   * console.assert(add.run({ a: 1, b: 2 }, { signal: new AbortController().signal, toolCallId: "tc-1" }) === 3);
   * ```
   */
  run(input: ToolInput<Schema>, context: ToolContext): unknown;
}

/**
 * Put a tool and its function together, so that the function's arguments have the types of the schema. Written right
 * into a call of `runTools`, a tool needs this only with TypeScript before 6.0.
 *
 * @param definition The tool.
 * @returns The same.
 *
 * @example
 * ```ts
 * import { type Client, tool } from "@inferd/client";
 *
 * const weather = tool({
 *   description: "The weather at a place",
 *   inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
 *   run: ({ place }) => (place === "Bern" ? "rain" : "sun"),
 * });
 *
 * export async function ask(client: Client): Promise<string> {
 *   return (await client.runTools("Does it rain in Bern?", { weather }).result()).text;
 * }
 * ```
 */
export function tool<const Schema extends JsonSchema>(definition: ToolDefinition<Schema>): ToolDefinition<Schema> {
  return definition;
}

/**
 * Tools by name, from the schemas of their arguments.
 *
 * @example
 * ```ts
 * import type { ToolDefinitions } from "@inferd/client";
 *
 * const schemas = { now: { type: "object" }, today: { type: "object" } } as const;
 *
 * export function clock(): ToolDefinitions<typeof schemas> {
 *   return {
 *     now: { description: "The time", inputSchema: schemas.now, run: () => new Date().toISOString() },
 *     today: { description: "The date", inputSchema: schemas.today, run: () => new Date().toDateString() },
 *   };
 * }
 * ```
 */
export type ToolDefinitions<Schemas> = {
  readonly [Name in keyof Schemas]: ToolDefinition<Schemas[Name]>;
};

/**
 * The tools of some definitions, as a request lists them.
 *
 * @example
 * ```ts
 * import type { DefinedTools, ToolUse } from "@inferd/client";
 *
 * type Calls = ToolUse<DefinedTools<{ now: { type: "object" }; today: { type: "object" } }>>;
 *
 * export function isClock({ name }: Calls): boolean {
 *   return name === "now";
 * }
 * ```
 */
export type DefinedTools<Schemas extends Readonly<Record<string, JsonSchema>>> = readonly {
  [Name in keyof Schemas]: {
    /** Unique in the request. */
    readonly name: Name & string;
    /** What it does, for the model. */
    readonly description: string;
    /** JSON Schema of its arguments. */
    readonly inputSchema: Schemas[Name];
  };
}[keyof Schemas][];

/**
 * How to run tools.
 *
 * @example
 * ```ts
 * import type { RunToolsOptions } from "@inferd/client";
 *
 * export const careful: RunToolsOptions = { maxSteps: 3, rethrow: true };
 * ```
 */
export interface RunToolsOptions extends CancelOptions {
  /** How many answers there may be, at least 1. Default 8. */
  readonly maxSteps?: number | undefined;
  /** What a function throws ends the run, instead of being told to the model. Default `false`. */
  readonly rethrow?: boolean | undefined;
}

/**
 * A tool was run; its result goes to the model.
 *
 * @example
 * ```ts
 * import type { ToolResultEvent } from "@inferd/client";
 *
 * export function show({ name, text, error }: ToolResultEvent): string {
 *   return error === undefined ? `${name} said ${text}` : `${name} failed`;
 * }
 * ```
 */
export interface ToolResultEvent<Tools extends readonly Tool[] = readonly Tool[]> {
  /** Discriminates the event. */
  readonly type: "tool_result";
  /** The id of the call. */
  readonly toolCallId: string;
  /** Which tool. */
  readonly name: Tools[number]["name"];
  /** What the model is told. */
  readonly text: string;
  /** What the function threw, if it did. */
  readonly error?: unknown;
}

/**
 * What a run came to.
 *
 * @example
 * ```ts
 * import type { Message, ToolRunResult } from "@inferd/client";
 *
 * // What the next question goes on from.
 * export function then({ messages }: ToolRunResult, question: string): readonly Message[] {
 *   return [...messages, { role: "user", content: question }];
 * }
 * ```
 */
export interface ToolRunResult {
  /** The text of the last answer. */
  readonly text: string;
  /** The whole conversation, the last answer and all thoughts included: what a next request goes on from. */
  readonly messages: readonly Message[];
  /** How many answers there were. */
  readonly steps: number;
  /** Token counts of all answers together. */
  readonly usage: Usage;
  /** Why the last answer ended. */
  readonly stopReason: GenerationV2StopReason;
  /** Which backend gave it; for diagnosis only. */
  readonly backend: string;
}

/**
 * The last answer is complete; the last event.
 *
 * @example
 * ```ts
 * import type { ToolRunDoneEvent } from "@inferd/client";
 *
 * export function show({ steps, usage }: ToolRunDoneEvent): string {
 *   return `${steps} answers, ${usage.completionTokens} tokens`;
 * }
 * ```
 */
export interface ToolRunDoneEvent extends ToolRunResult {
  /** Discriminates the event. */
  readonly type: "done";
}

/**
 * What a run yields: the `text`, `thinking` and `tool_use` of every answer, a `tool_result` for every call, one `done`.
 *
 * @example
 * ```ts
 * import type { ToolRunEvent } from "@inferd/client";
 *
 * export function show(event: ToolRunEvent): string {
 *   if (event.type === "tool_use") return `${event.name}(${JSON.stringify(event.input)})`;
 *   return event.type === "tool_result" ? `-> ${event.text}` : event.text;
 * }
 * ```
 */
export type ToolRunEvent<Tools extends readonly Tool[] = readonly Tool[]> =
  | TextEvent
  | ThinkingEvent
  | ToolUse<Tools>
  | ToolResultEvent<Tools>
  | ToolRunDoneEvent;

/**
 * A run of tools under way. Take its events in a loop, or ask for its result. It goes on only while somebody takes
 * events or waits for the result; leaving the loop cancels it.
 *
 * @example
 * ```ts
 * import type { Client } from "@inferd/client";
 *
 * export async function ask(client: Client, question: string): Promise<void> {
 *   const run = client.runTools(question, {
 *     now: { description: "The time", inputSchema: { type: "object" }, run: () => new Date().toISOString() },
 *   });
 *   for await (const event of run) {
 *     if (event.type === "text") console.log(event.text);
 *     if (event.type === "tool_result") console.log(event.name, event.text);
 *   }
 * }
 * ```
 */
export interface ToolRun<Tools extends readonly Tool[] = readonly Tool[]> extends AsyncIterable<ToolRunEvent<Tools>> {
  /**
   * What it came to. Asked for before any loop, it takes the events itself, and they can no longer be iterated.
   *
   * @returns The last answer and the conversation. Asked again, the same.
   * @throws {StepLimitError} If the model still calls tools in the last answer that was allowed.
   * @throws {UnknownToolError} If the model calls a tool that there is no function for.
   * @throws What a function threw, with `rethrow`.
   * @throws What `GenerationV2.result` throws.
   *
   * @example
   * ```ts
   * import type { Client, Message } from "@inferd/client";
   *
   * export async function conversation(client: Client, question: string): Promise<readonly Message[]> {
   *   const run = client.runTools(question, {
   *     now: { description: "The time", inputSchema: { type: "object" }, run: () => new Date().toISOString() },
   *   });
   *   return (await run.result()).messages;
   * }
   * ```
   */
  result(): Promise<ToolRunResult>;
}

/** What a run needs: its caller, its options, and a way to ask. */
export interface ToolRunContext extends AnswerContext, RunToolsOptions {
  readonly generate: (request: GenerateV2Fields, signal: AbortSignal) => GenerationV2;
}

/** The functions of a run and the definitions that came with them, by name. */
export type ToolTable = Readonly<Record<string, ToolFunction | ToolDefinition>>;

/** The one implementation of {@linkcode ToolRun}. */
export class ActiveToolRun extends Answer<ToolRunEvent, ToolRunResult> implements ToolRun {
  readonly #context: ToolRunContext;
  readonly #maxSteps: number;
  readonly #functions = new Map<string, ToolFunction>();
  readonly #request: GenerateV2Fields;
  readonly #messages: Message[];
  readonly #first: GenerationV2;
  readonly #cut = new AbortController();
  readonly #cancelled: Promise<never>;

  /**
   * Send the first request.
   *
   * @param request The conversation, and how to answer.
   * @param tools What to run; definitions are added to the request's tools.
   * @param context What it needs.
   * @throws {RangeError} If `maxSteps` is less than 1.
   * @throws {TypeError} If a function belongs to no tool, or the request cannot be said in JSON.
   */
  constructor(request: GenerateV2Fields, tools: ToolTable, context: ToolRunContext) {
    super(context);
    const { maxSteps = DEFAULT_MAX_STEPS } = context;
    if (!(maxSteps >= 1)) throw new RangeError(`Cannot run tools in ${maxSteps} steps: "maxSteps" must be 1 or more`);
    this.#context = context;
    this.#maxSteps = maxSteps;
    this.#request = { ...request, tools: this.#offer(request.tools ?? [], tools) };
    this.#messages = [...request.messages];
    this.#cancelled = new Promise((_, reject) => {
      this.#cut.signal.addEventListener("abort", () => reject(this.#cut.signal.reason), { once: true });
    });
    this.#cancelled.catch(() => {});
    this.begin();
    try {
      this.#first = context.generate(this.#request, this.#cut.signal);
    } catch (error) {
      throw this.cancel(error);
    }
  }

  protected override stop(reason: unknown): void {
    this.#cut.abort(reason);
  }

  protected override async *events(): AsyncGenerator<ToolRunEvent, void, void> {
    try {
      const usage = { promptTokens: 0, completionTokens: 0 };
      for (let step = 1;; step++) {
        const done = yield* this.#answer(step === 1 ? this.#first : this.#ask());
        usage.promptTokens += done.usage.promptTokens;
        usage.completionTokens += done.usage.completionTokens;
        if (done.toolCalls.length > 0) {
          const unknown = done.toolCalls.find(({ name }) => !this.#functions.has(name));
          if (unknown !== undefined) throw new UnknownToolError(unknown.name, this.#messages);
          if (step >= this.#maxSteps) throw new StepLimitError(step, this.#messages);
          yield* this.#run(done.toolCalls);
          continue;
        }
        const { text, stopReason, backend } = done;
        const result = { text, messages: this.#messages, steps: step, usage, stopReason, backend };
        this.succeed(result);
        yield { type: "done", ...result };
        return;
      }
    } catch (error) {
      throw this.cancel(error);
    }
  }

  /** The tools of the request, the definitions among them, and their functions put aside. */
  #offer(declared: readonly Tool[], table: ToolTable): readonly Tool[] {
    const tools = [...declared];
    for (const [name, tool] of Object.entries(table)) {
      if (typeof tool === "function") {
        if (!declared.some((one) => one.name === name)) {
          throw new TypeError(`Cannot run "${name}": the request has no such tool`);
        }
        this.#functions.set(name, tool);
      } else {
        tools.push({ name, description: tool.description, inputSchema: tool.inputSchema });
        this.#functions.set(name, (input, context) => tool.run(input, context));
      }
    }
    return tools;
  }

  #ask(): GenerationV2 {
    // Required once: a model that has to call for ever never answers.
    const toolChoice = this.#request.toolChoice === "none" ? "none" : "auto";
    return this.#context.generate({ ...this.#request, toolChoice, messages: this.#messages }, this.#cut.signal);
  }

  /** Pass an answer's events on, and add it to the conversation. */
  async *#answer(generation: GenerationV2): AsyncGenerator<ToolRunEvent, DoneV2Event, void> {
    const content: Block[] = [];
    for await (const event of generation) {
      if (event.type === "done") {
        if (content.length > 0) this.#messages.push({ role: "assistant", content });
        return event;
      }
      if (event.type === "tool_use") {
        content.push(event);
      } else {
        const { type, text } = event;
        const last = content.at(-1);
        if (last?.type === type) content[content.length - 1] = { type, text: last.text + text };
        else content.push({ type, text });
      }
      yield event;
    }
    throw new TypeError("Cannot go on: the answer has no end");
  }

  /** Run the functions of one answer's calls together, and add what they say to the conversation. */
  async *#run(calls: readonly ToolUse[]): AsyncGenerator<ToolRunEvent, void, void> {
    const running = calls.map((call) => this.#call(call));
    // Those after one that ends the run are not waited for.
    for (const result of running) result.catch(() => {});
    const content: ToolResultBlock[] = [];
    for (const pending of running) {
      const event = await Promise.race([pending, this.#cancelled]);
      content.push({ type: "tool_result", toolCallId: event.toolCallId, content: event.text });
      yield event;
    }
    this.#messages.push({ role: "user", content });
  }

  async #call({ name, toolCallId, input }: ToolUse): Promise<ToolResultEvent> {
    const head = { type: "tool_result", toolCallId, name } as const;
    try {
      const output = await this.#functions.get(name)?.(input, { signal: this.#cut.signal, toolCallId });
      return { ...head, text: typeof output === "string" ? output : JSON.stringify(output) ?? "null" };
    } catch (error) {
      if (this.#context.rethrow) throw error;
      return { ...head, text: `Error: ${error instanceof Error ? error.message : String(error)}`, error };
    }
  }
}
