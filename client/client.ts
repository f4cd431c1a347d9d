/** The public interface of a client; `pooling_client.ts` implements it. */
import type { Admin } from "./admin.ts";
import type { Message, Tool } from "./blocks.ts";
import type { Capabilities } from "./capabilities.ts";
import type { GenerateRequest } from "./generation.ts";
import type { Generation } from "./generation_events.ts";
import type { GenerateV2Fields } from "./generation_v2.ts";
import type { ModelTokenizer } from "./model_tokenizer.ts";
import type { ObjectOptions, ObjectRequest } from "./object.ts";
import type { RequestOptions, WaitOptions } from "./options.ts";
import type { EmbedInput, EmbedOptions, EmbedResult, RerankOptions, RerankResult } from "./retrieval.ts";
import type { AnySchema, InferSchema } from "./standard_schema.ts";
import type { ClientStatus } from "./status.ts";
import type { DefinedTools, RunToolsOptions, ToolDefinitions, ToolFunctions, ToolRun } from "./tools.ts";

/**
 * A connected client. Dispose of it, or close it, when it is no longer needed.
 *
 * @category Client
 *
 * @example
 * ```ts
 * import { connect } from "@inferd/client";
 *
 * export async function answer(prompt: string): Promise<string> {
 *   await using client = await connect();
 *   return await client.generate({ messages: [{ role: "user", content: prompt }], maxTokens: 100 }).text();
 * }
 * ```
 */
export interface Client extends ModelTokenizer, AsyncDisposable {
  /** The endpoint it connected to first: `unix:<path>` or `tcp:<host>:<port>`. */
  readonly endpoint: string;
  /** The same daemon's admin socket. Unless `adminPath` was given it is where the environment says. */
  readonly admin: Admin;
  /** Resolves when the client is closed; never rejects. */
  readonly closed: Promise<void>;

  /**
   * Ask for an answer. The request is sent at once, on a connection of its own while it runs. Which socket of the daemon
   * it goes to follows from the request: blocks, tools, a schema and the like need generation v2, see `V2Mark`.
   *
   * A request that fails before its first event is sent again, up to `maxRetries` times, if the error is `retryable`. At
   * most `maxConcurrent` requests are sent at the same time; the others wait in the client.
   *
   * @param request A prompt, or a conversation and how to answer it. Where tools are literals, the calls have their types.
   * @param options `signal` cancels the request; `timeoutMs` and `maxRetries`.
   * @returns The running request: iterate it, or ask for its result. Not a promise.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {TypeError} If the request has no messages, unknown fields, or cannot be said in JSON.
   * @throws {RangeError} If the path of the daemon's v2 socket is too long.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function firstWords(client: Client, signal: AbortSignal): Promise<string> {
   *   let all = "";
   *   for await (const text of client.generate("Tell me a story.", { signal }).text) {
   *     all += text;
   *     if (all.length > 100) break; // The daemon stops, too.
   *   }
   *   return all;
   * }
   * ```
   */
  generate<const Tools extends readonly Tool[] = readonly Tool[]>(
    request: string | GenerateRequest | GenerateV2Fields<Tools>,
    options?: RequestOptions,
  ): Generation<Tools>;

  /**
   * Ask for a value instead of text: the answer is held to a schema, parsed, and checked by the schema's library.
   *
   * @param request A prompt, or a conversation and how to answer it.
   * @param options The schema, and `signal` to cancel.
   * @returns The value. Where the schema is a literal, it has its type.
   * @throws {ObjectError} If the answer was cut off or is not JSON.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {TypeError} If the request has no messages or cannot be said in JSON.
   * @throws What `Generation.result` throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function ageOf(client: Client, text: string): Promise<number | undefined> {
   *   const person = await client.generateObject(`Who is it? ${text}`, {
   *     schema: {
   *       type: "object",
   *       properties: { name: { type: "string" }, age: { type: "integer" } },
   *       required: ["name"],
   *     },
   *   });
   *   return person.age;
   * }
   * ```
   */
  generateObject<const Schema extends AnySchema>(
    request: string | ObjectRequest,
    options: ObjectOptions<Schema>,
  ): Promise<InferSchema<Schema>>;

  /**
   * Ask, run the tools that the answer calls, tell the model what they said, and so on until an answer calls none.
   * The calls of one answer run together. What the model thought before a call is sent to it again. A `toolChoice` that
   * requires a call holds for the first answer only; the others are free to end the run.
   *
   * @param request A conversation, how to answer it, and the tools.
   * @param functions What the tools do, by name.
   * @param options `maxSteps`, `rethrow`, and `signal` to cancel.
   * @returns The run: iterate it, or ask for its result. Not a promise.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {RangeError} If `maxSteps` is less than 1.
   * @throws {TypeError} If a function belongs to no tool, or the request has no messages or cannot be said in JSON.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function ask(client: Client, question: string): Promise<string> {
   *   const run = client.runTools({
   *     messages: [{ role: "user", content: question }],
   *     tools: [{
   *       name: "weather",
   *       description: "The weather at a place",
   *       inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
   *     }],
   *   }, { weather: ({ place }) => (place === "Bern" ? "rain" : "sun") });
   *   return (await run.result()).text;
   * }
   * ```
   */
  runTools<const Tools extends readonly Tool[]>(
    request: GenerateV2Fields<Tools> & { readonly messages: readonly Message[]; readonly tools: Tools },
    functions: ToolFunctions<Tools>,
    options?: RunToolsOptions,
  ): ToolRun<Tools>;

  /**
   * Ask, run the tools that the answer calls, tell the model what they said, and so on until an answer calls none.
   * The calls of one answer run together. What the model thought before a call is sent to it again. A `toolChoice` that
   * requires a call holds for the first answer only; the others are free to end the run.
   *
   * @param request A prompt or a conversation, and how to answer it.
   * @param tools The tools by name, each with its description, the schema of its arguments and its function.
   * @param options `maxSteps`, `rethrow`, and `signal` to cancel.
   * @returns The run: iterate it, or ask for its result. Not a promise.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws {RangeError} If `maxSteps` is less than 1.
   * @throws {TypeError} If the request has no messages or cannot be said in JSON.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function ask(client: Client, question: string): Promise<string> {
   *   const run = client.runTools(question, {
   *     add: {
   *       description: "The sum of two numbers",
   *       inputSchema: {
   *         type: "object",
   *         properties: { a: { type: "number" }, b: { type: "number" } },
   *         required: ["a", "b"],
   *       },
   *       run: ({ a, b }) => a + b,
   *     },
   *   });
   *   return (await run.result()).text;
   * }
   * ```
   */
  runTools<const Schemas extends Readonly<Record<string, AnySchema>>>(
    request:
      | string
      | (GenerateV2Fields<DefinedTools<Schemas>> & {
        readonly messages: readonly Message[];
        readonly tools?: undefined;
      }),
    tools: ToolDefinitions<Schemas>,
    options?: RunToolsOptions,
  ): ToolRun<DefinedTools<Schemas>>;

  /**
   * Turn texts into vectors.
   *
   * @param input A text, or several; ids of tokens in place of a text are used as they are.
   * @param options `dimensions`, `task`, and `signal` to cancel.
   * @returns The vectors, also of a single text.
   * @throws {ConnectError} If nothing embeds there: no daemon is ready, or it has no backend that embeds.
   * @throws {EmbedUnsupportedError} If the daemon answers that no backend embeds.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function similarity(client: Client, a: string, b: string): Promise<number> {
   *   const { embeddings: [first = [], second = []] } = await client.embed([a, b], { task: "similarity" });
   *   return first.reduce((sum, value, index) => sum + value * (second[index] ?? 0), 0);
   * }
   * ```
   */
  embed(input: string | readonly EmbedInput[], options?: EmbedOptions): Promise<EmbedResult>;

  /**
   * Order documents by how well they fit a query.
   *
   * @param query What is looked for.
   * @param documents Where; at most 256.
   * @param options `topN`, and `signal` to cancel.
   * @returns The documents, the best first.
   * @throws {ConnectError} If nothing reranks there: no daemon is ready, or it has no backend that reranks.
   * @throws {RerankUnsupportedError} If the daemon answers that no backend reranks.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Generation.result} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function best(client: Client, query: string, documents: string[]): Promise<string | undefined> {
   *   return (await client.rerank(query, documents, { topN: 1 })).results[0]?.document;
   * }
   * ```
   */
  rerank(query: string, documents: readonly string[], options?: RerankOptions): Promise<RerankResult>;

  /**
   * List the models that the daemon serves, and what each can do. Asks the admin socket.
   *
   * @param options As for {@linkcode Admin.snapshot}.
   * @returns One entry for each backend whose model is known, in the operator's order.
   * @throws {ClientClosedError} If the client is closed or draining.
   * @throws What {@linkcode Admin.snapshot} throws.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function names(client: Client): Promise<readonly (string | undefined)[]> {
   *   return (await client.models()).map(({ model }) => model);
   * }
   * ```
   */
  models(options?: WaitOptions): Promise<readonly Capabilities[]>;

  /**
   * Follow the client's connections: made, lost, retried, closed. Ends with the client.
   *
   * @returns What happens from the start of the loop on.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function log(client: Client): Promise<void> {
   *   for await (const status of client.status()) console.log(status.type);
   * }
   * ```
   */
  status(): AsyncIterable<ClientStatus>;

  /**
   * Take no further requests, let those that run finish, then close. A request whose events nobody takes does not
   * finish; `close()` ends it.
   *
   * @returns Resolves when the client is closed.
   *
   * @example
   * ```ts
   * import type { Client } from "@inferd/client";
   *
   * export async function lastWords(client: Client): Promise<string> {
   *   const running = client.generate("Say goodbye.").text();
   *   await client.drain();
   *   return await running;
   * }
   * ```
   */
  drain(): Promise<void>;

  /**
   * Close at once. Running requests get a `ClientClosedError`; loops over the daemon's events end.
   *
   * @returns Resolves when the client is closed.
   *
   * @example
   * ```ts
   * import { connect } from "@inferd/client";
   *
   * export async function hello(): Promise<void> {
   *   const client = await connect();
   *   try {
   *     console.log(await client.generate("Say hello.").text());
   *   } finally {
   *     await client.close();
   *   }
   * }
   * ```
   */
  close(): Promise<void>;
}
