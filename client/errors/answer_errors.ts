/** Errors for answers and tool runs that are not usable although the daemon worked. */
import type { Message } from "../blocks.ts";
import { InferdError } from "./errors.ts";

/**
 * The answer is not the value that was asked for: it was cut off, or is not JSON. `retryable` unless the tokens ran out,
 * which a higher limit fixes.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Client, ObjectError } from "@inferd/client";
 *
 * export async function colours(client: Client): Promise<readonly string[]> {
 *   const schema = { type: "array", items: { type: "string" } } as const;
 *   return await client.generateObject("Name three colours.", { schema }).catch((error: unknown) => {
 *     if (error instanceof ObjectError && error.stopReason === "max_tokens") return [];
 *     throw error;
 *   });
 * }
 * ```
 */
export class ObjectError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ObjectError";
  /** The text of the model. */
  readonly text: string;
  /** The stop reason, e.g. `max_tokens`. */
  readonly stopReason: string;

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param options The model's text, the stop reason, and the cause.
   */
  constructor(
    message: string,
    options: { readonly text: string; readonly stopReason: string; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause, retryable: options.stopReason !== "max_tokens" });
    this.text = options.text;
    this.stopReason = options.stopReason;
  }
}

/**
 * A tool loop cannot continue; has the conversation so far.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { type Message, ToolRunError } from "@inferd/client";
 *
 * // What another run may go on from.
 * export function soFar(error: unknown): readonly Message[] {
 *   return error instanceof ToolRunError ? error.messages : [];
 * }
 * ```
 */
export abstract class ToolRunError extends InferdError {
  /** Names the class. */
  override readonly name: string = "ToolRunError";
  /**
   * The conversation. Its last turn holds the calls that were not run: the daemon takes it again once a message with
   * their results follows.
   */
  readonly messages: readonly Message[];

  /**
   * Make one.
   *
   * @param message One sentence for a person.
   * @param messages The conversation.
   */
  constructor(message: string, messages: readonly Message[]) {
    super(message);
    this.messages = messages;
  }
}

/**
 * The model called a tool without a function.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { UnknownToolError } from "@inferd/client";
 *
 * export function missingTool(error: unknown): string | undefined {
 *   return error instanceof UnknownToolError ? error.tool : undefined;
 * }
 * ```
 */
export class UnknownToolError extends ToolRunError {
  /** Names the class. */
  override readonly name: string = "UnknownToolError";
  /** The name of the tool. */
  readonly tool: string;

  /**
   * Make one.
   *
   * @param tool The name of the tool.
   * @param messages The conversation.
   */
  constructor(tool: string, messages: readonly Message[]) {
    super(`The model called "${tool}", which there is no function for`, messages);
    this.tool = tool;
  }
}

/**
 * The model still called tools in the last allowed answer.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { StepLimitError } from "@inferd/client";
 *
 * export function advice(error: unknown): string {
 *   return error instanceof StepLimitError ? `${error.steps} steps were not enough: give more "maxSteps"` : "";
 * }
 * ```
 */
export class StepLimitError extends ToolRunError {
  /** Names the class. */
  override readonly name: string = "StepLimitError";
  /** Number of answers. */
  readonly steps: number;

  /**
   * Make one.
   *
   * @param steps Number of answers.
   * @param messages The conversation.
   */
  constructor(steps: number, messages: readonly Message[]) {
    super(`The model still calls tools after ${steps} answers, and no more were allowed`, messages);
    this.steps = steps;
  }
}
