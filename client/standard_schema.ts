/**
 * Schemas of other libraries that follow Standard Schema (https://standardschema.dev) and can be converted to JSON
 * Schema. Typed here, so that no library is needed.
 */
import type { FromSchema, JsonSchema } from "./schema.ts";
import { valibotJsonSchema } from "./valibot.ts";

/**
 * A schema of zod 4, valibot, arktype, or another library that follows Standard Schema.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { Client, StandardSchema } from "@inferd/client";
 *
 * export async function extract<T>(client: Client, text: string, schema: StandardSchema<T>): Promise<T> {
 *   return await client.generateObject(text, { schema });
 * }
 * ```
 */
export interface StandardSchema<Output = unknown> {
  /** What Standard Schema defines. */
  readonly "~standard": {
    /** The version of Standard Schema. */
    readonly version: 1;
    /** The library that made it. */
    readonly vendor: string;
    /** Checks a value, and may change it. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** For the compiler only. */
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/**
 * A schema of TypeBox, the package `typebox`. One of `@sinclair/typebox` is typed as a {@linkcode JsonSchema}.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { TypeBoxSchema } from "@inferd/client";
 *
 * export const kindOf = (schema: TypeBoxSchema): string => schema["~kind"];
 * ```
 */
export interface TypeBoxSchema {
  /** TypeBox's name of its kind. */
  readonly "~kind": string;
}

/**
 * Any supported schema.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { AnySchema, Client, InferSchema } from "@inferd/client";
 *
 * export async function ask<const S extends AnySchema>(client: Client, schema: S): Promise<InferSchema<S>> {
 *   return await client.generateObject("Make something up.", { schema });
 * }
 * ```
 */
export type AnySchema = JsonSchema | StandardSchema | TypeBoxSchema;

/**
 * The result of a validation.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { StandardResult } from "@inferd/client";
 *
 * export function messages({ issues = [] }: StandardResult): readonly string[] {
 *   return issues.map(({ message }) => message);
 * }
 * ```
 */
export interface StandardResult<Output = unknown> {
  /** The value, if there are no issues. */
  readonly value?: Output;
  /** The violations. */
  readonly issues?: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] | undefined;
}

/**
 * The type of the values a schema allows: of a Standard Schema or of TypeBox what the library says, of a literal JSON
 * Schema what {@linkcode FromSchema} works out.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { InferSchema } from "@inferd/client";
 *
 * export const colour: InferSchema<{ readonly enum: readonly ["red", "green"] }> = "red";
 * ```
 */
export type InferSchema<Schema> = Schema extends {
  readonly "~standard": { readonly types?: { readonly output: infer Output } | undefined };
} ? Output
  : Schema extends { readonly static: infer Static; readonly params: unknown[] } ? Static
  : FromSchema<Schema>;

/** Methods of libraries beyond Standard Schema. */
interface MaybeJson {
  readonly "~standard"?: {
    readonly vendor: string;
    readonly validate: StandardSchema["~standard"]["validate"];
    readonly jsonSchema?: { input(options: { readonly target: string }): JsonSchema };
  };
  readonly toJsonSchema?: () => JsonSchema;
}

/** @throws {TypeError} If the library cannot express it. */
export function jsonSchemaOf(schema: AnySchema): JsonSchema {
  const { "~standard": standard, toJsonSchema } = schema as MaybeJson;
  if (standard === undefined) return schema as JsonSchema;
  if (standard.jsonSchema !== undefined) {
    const { $schema: _, ...rest } = standard.jsonSchema.input({ target: "draft-2020-12" });
    return rest;
  }
  if (typeof toJsonSchema === "function") return toJsonSchema.call(schema);
  if (standard.vendor === "valibot") return valibotJsonSchema(schema);
  throw new TypeError(
    `Cannot use a schema of "${standard.vendor}": it cannot be said in JSON Schema; use a version of it that follows ` +
      "Standard JSON Schema, or pass a JSON Schema",
  );
}
