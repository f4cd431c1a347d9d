/** Answers parsed into values: generation v2 with a schema. */
import type { LongText } from "./protocol/mod.ts";
import type { Attachment, Message } from "./blocks.ts";
import { ObjectError } from "./errors/answer_errors.ts";
import type { SamplingOptions } from "./generation.ts";
import type { GenerationResult } from "./generation_events.ts";
import type { RequestOptions } from "./options.ts";
import type { JsonSchema } from "./schema.ts";
import type { AnySchema } from "./standard_schema.ts";

/**
 * A request for a value. Omitted options have the daemon's defaults.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { ObjectRequest } from "@inferd/client";
 *
 * export const request: ObjectRequest = {
 *   messages: [{ role: "user", content: "How many legs has a spider?" }],
 *   thinking: true,
 *   temperature: 0,
 * };
 * ```
 */
export interface ObjectRequest extends SamplingOptions {
  /** The conversation, not empty. */
  readonly messages: readonly Message<LongText>[];
  /** The media of the conversation's blocks; at most 32. */
  readonly attachments?: readonly Attachment<LongText>[] | undefined;
  /** Lets the model think before it writes the value. Default `false`. */
  readonly thinking?: boolean | undefined;
}

/**
 * The value to generate.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { Client, ObjectOptions } from "@inferd/client";
 *
 * const schema = { type: "integer", minimum: 0 } as const;
 *
 * export async function legs(client: Client, animal: string, signal: AbortSignal): Promise<number> {
 *   const options: ObjectOptions<typeof schema> = { schema, signal };
 *   return await client.generateObject(`How many legs has a ${animal}?`, options);
 * }
 * ```
 */
export interface ObjectOptions<Schema extends AnySchema = JsonSchema> extends RequestOptions {
  /** Schema of the value: JSON Schema, or one of zod 4, valibot, arktype or TypeBox. */
  readonly schema: Schema;
}

/**
 * Parse the value of an answer.
 *
 * @throws {ObjectError} If the answer was cut off or is not JSON.
 */
export function parseObject({ text, stopReason }: GenerationResult): unknown {
  // A number that was cut off would parse.
  if (stopReason === "max_tokens") {
    throw new ObjectError("The value is not complete: the tokens ran out", { text, stopReason });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ObjectError(`The answer is not JSON, it ended with "${stopReason}"`, { text, stopReason, cause });
  }
  // The same; of all else a stop string leaves what does not parse, unless it came after the end.
  if (stopReason === "stop_sequence" && typeof value === "number") {
    throw new ObjectError("The value is not complete: a stop string ended it", { text, stopReason });
  }
  return value;
}
