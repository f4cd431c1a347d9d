/**
 * The tool loop: alternates requests and calls until an answer calls no tool. Every request is a separate generation;
 * the conversation is kept here.
 */
import type { Block, Message, Tool, ToolResultBlock, ToolUse } from "./blocks.ts";
import { Answer, type AnswerContext } from "./answer.ts";
import { validateWith } from "./validation.ts";
import { StepLimitError, UnknownToolError } from "./errors/answer_errors.ts";
import { errorText } from "./errors/error_facts.ts";
import type { DoneEvent, Generation } from "./generation_events.ts";
import type { GenerateV2Fields } from "./generation_v2.ts";
import type {
  RunToolsOptions,
  ToolDefinition,
  ToolFunction,
  ToolResultEvent,
  ToolRun,
  ToolRunEvent,
  ToolRunResult,
} from "./tools.ts";

const DEFAULT_MAX_STEPS = 8;

/** The context of a run: its caller, its options, and how to generate. */
export interface ToolRunContext extends AnswerContext, RunToolsOptions {
  readonly generate: (request: GenerateV2Fields, signal: AbortSignal) => Generation;
}

/** A request that begins a run: its messages are also in the result. */
export type ToolRunRequest = GenerateV2Fields & { readonly messages: readonly Message[] };

/** The functions of a run and the definitions that came with them, by name. */
export type ToolTable = Readonly<Record<string, ToolFunction | ToolDefinition>>;

/** The implementation of {@linkcode ToolRun}. */
export class ActiveToolRun extends Answer<ToolRunEvent, ToolRunResult> implements ToolRun {
  readonly #context: ToolRunContext;
  readonly #maxSteps: number;
  readonly #functions = new Map<string, ToolFunction>();
  readonly #request: ToolRunRequest;
  readonly #messages: Message[];
  readonly #first: Generation;
  readonly #cut = new AbortController();
  readonly #cancelled: Promise<never>;

  /**
   * Send the first request.
   *
   * @param tools What to run; definitions are added to the request's tools.
   * @throws {RangeError} If `maxSteps` is less than 1.
   * @throws {TypeError} If a function belongs to no tool, or the request cannot be said in JSON.
   */
  constructor(request: ToolRunRequest, tools: ToolTable, context: ToolRunContext) {
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

  /** Collect the tools of the request and of the definitions, and their functions. */
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
        this.#functions.set(
          name,
          async (input, context) =>
            await tool.run(await validateWith(tool.inputSchema, input) as typeof input, context),
        );
      }
    }
    return tools;
  }

  #ask(): Generation {
    // Required once: a model that must always call never answers.
    const toolChoice = this.#request.toolChoice === "none" ? "none" : "auto";
    return this.#context.generate({ ...this.#request, toolChoice, messages: this.#messages }, this.#cut.signal);
  }

  /** Forward an answer's events, and append it to the conversation. */
  async *#answer(generation: Generation): AsyncGenerator<ToolRunEvent, DoneEvent, void> {
    const content: Block[] = [];
    for await (const event of generation) {
      if (event.type === "done") {
        if (content.length > 0) this.#messages.push({ role: "assistant", content });
        return event;
      }
      if (event.type === "tool_use") {
        content.push(event);
      } else if (event.type !== "progress") {
        const { type, text } = event;
        const last = content.at(-1);
        if (last?.type === type) content[content.length - 1] = { type, text: last.text + text };
        else content.push({ type, text });
      }
      yield event;
    }
    throw new TypeError("Cannot go on: the answer has no end");
  }

  /** Run the functions of an answer's calls concurrently, and append their results to the conversation. */
  async *#run(calls: readonly ToolUse[]): AsyncGenerator<ToolRunEvent, void, void> {
    const running = calls.map((call) => this.#call(call));
    // Later results are not awaited if one ends the run.
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
      return { ...head, text: `Error: ${errorText(error)}`, error };
    }
  }
}
