/** Validates a model's output with the library that made the schema. */
import { ObjectError } from "./errors/answer_errors.ts";
import type { AnySchema, StandardSchema } from "./standard_schema.ts";

/**
 * Check a value with the library that made its schema, and return it as that does. A JSON Schema allows everything,
 * because the daemon holds the model to it.
 *
 * @throws {ObjectError} If the library rejects it.
 */
export async function validateWith(schema: AnySchema, value: unknown): Promise<unknown> {
  const { "~standard": standard } = schema as Partial<StandardSchema>;
  if (standard === undefined) return value;
  const { issues, value: checked } = await standard.validate(value);
  if (issues === undefined) return checked;
  const why = issues.map(({ message }) => message).join("; ");
  throw new ObjectError(`The value does not follow the schema: ${why}`, {
    text: JSON.stringify(value),
    stopReason: "end_turn",
  });
}
