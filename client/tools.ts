/** Tools and their functions, and the events and results of a tool loop, as callers write them. */
import type { Message, Tool, ToolInput, ToolUse } from "./blocks.ts";
import type { Usage } from "./generation.ts";
import type { ProgressEvent, StopReason, TextEvent, ThinkingEvent } from "./generation_events.ts";
import type { RequestOptions } from "./options.ts";
import type { JsonFields, JsonSchema } from "./schema.ts";
import type { AnySchema } from "./standard_schema.ts";

/**
 * The context of a tool's function.
 *
 * @category Tools
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
 * Does what a tool says. What it returns, or resolves to, goes to the model: text as it is, all else as JSON, and
 * `null` where that has none, as nothing or a function. What it throws goes to the model, too.
 *
 * @category Tools
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
 * @category Tools
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
 * @category Tools
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
  /** The description for the model. */
  readonly description: string;
  /** Schema of its arguments, an object's: JSON Schema, or one of another library. */
  readonly inputSchema: Schema;
  /**
   * Does it, see {@linkcode ToolFunction}.
   *
   * @param input The arguments of the call.
   * @param context Which call it is, and when to give up.
   * @returns The result for the model, or a promise of it.
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
 * @category Tools
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
export function tool<const Schema extends AnySchema>(
  definition: ToolDefinition<Schema>,
): ToolDefinition<Schema> {
  return definition;
}

/**
 * Tools by name, from the schemas of their arguments.
 *
 * @category Tools
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
 * @category Tools
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
export type DefinedTools<Schemas extends Readonly<Record<string, AnySchema>>> = readonly {
  [Name in keyof Schemas]: {
    /** Unique in the request. */
    readonly name: Name & string;
    /** The description for the model. */
    readonly description: string;
    /** JSON Schema of its arguments. */
    readonly inputSchema: Schemas[Name];
  };
}[keyof Schemas][];

/**
 * Options of a tool loop.
 *
 * @category Tools
 *
 * @example
 * ```ts
 * import type { RunToolsOptions } from "@inferd/client";
 *
 * export const careful: RunToolsOptions = { maxSteps: 3, rethrow: true };
 * ```
 */
export interface RunToolsOptions extends RequestOptions {
  /** Maximum number of answers, at least 1. Default 8. */
  readonly maxSteps?: number | undefined;
  /** Errors of functions end the run instead of going to the model. Default `false`. */
  readonly rethrow?: boolean | undefined;
}

/**
 * A tool was run; its result goes to the model.
 *
 * @category Tools
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
  /** The result for the model. */
  readonly text: string;
  /** The error thrown by the function, if any. */
  readonly error?: unknown;
}

/**
 * The result of a tool loop.
 *
 * @category Tools
 *
 * @example
 * ```ts
 * import type { Message, ToolRunResult } from "@inferd/client";
 *
 * // What the next question continues.
 * export function then({ messages }: ToolRunResult, question: string): readonly Message[] {
 *   return [...messages, { role: "user", content: question }];
 * }
 * ```
 */
export interface ToolRunResult {
  /** The text of the last answer. */
  readonly text: string;
  /** The whole conversation, the last answer and all thoughts included: what the next request continues. */
  readonly messages: readonly Message[];
  /** Number of answers. */
  readonly steps: number;
  /** Token counts of all answers together. */
  readonly usage: Usage;
  /** Why the last answer ended. */
  readonly stopReason: StopReason;
  /** The backend that gave it; for diagnosis only. */
  readonly backend: string;
}

/**
 * The last answer is complete; the last event.
 *
 * @category Tools
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
 * @category Tools
 *
 * @example
 * ```ts
 * import type { ToolRunEvent } from "@inferd/client";
 *
 * export function show(event: ToolRunEvent): string {
 *   if (event.type === "tool_use") return `${event.name}(${JSON.stringify(event.input)})`;
 *   if (event.type === "tool_result") return `-> ${event.text}`;
 *   return event.type === "progress" ? "" : event.text;
 * }
 * ```
 */
export type ToolRunEvent<Tools extends readonly Tool[] = readonly Tool[]> =
  | TextEvent
  | ThinkingEvent
  | ToolUse<Tools>
  | ToolResultEvent<Tools>
  | ProgressEvent
  | ToolRunDoneEvent;

/**
 * A run of tools under way. Take its events in a loop, or ask for its result. It advances only while somebody takes
 * events or waits for the result; leaving the loop cancels it.
 *
 * @category Tools
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
   * @throws What `Generation.result` throws.
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
