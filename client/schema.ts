/**
 * The TypeScript type described by a JSON Schema, computed by the compiler. Nothing is checked at run time: the
 * daemon's output always matches the schema.
 */

/**
 * A JSON Schema of an object, or of anything else that is not `true` or `false`. Which parts of JSON Schema are
 * understood is the daemon's business; it refuses what it does not.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { JsonSchema } from "@inferd/client";
 *
 * export const people: JsonSchema = {
 *   type: "array",
 *   items: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
 * };
 * ```
 */
export type JsonSchema = { readonly [key: string]: unknown };

/**
 * Anything a JSON object can hold.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { JsonFields } from "@inferd/client";
 *
 * export function nameOf(fields: JsonFields): string {
 *   return typeof fields.name === "string" ? fields.name : "somebody";
 * }
 * ```
 */
export type JsonFields = { [key: string]: unknown };

/**
 * The type of the values a JSON Schema allows, as far as TypeScript can say: objects with required and optional
 * properties, arrays, `enum`, `const`, `anyOf`, `oneOf`, lists of types and primitives, nested, and references to the
 * schema itself (`#`) and its `$defs`. The rest is `unknown`, so is a schema that is not a literal.
 *
 * `Root` is the whole schema, which references are looked up in.
 *
 * @category Schemas
 *
 * @example
 * ```ts
 * import type { FromSchema } from "@inferd/client";
 *
 * const person = {
 *   type: "object",
 *   properties: { name: { type: "string" }, age: { type: "integer" } },
 *   required: ["name"],
 * } as const;
 *
 * export const ada: FromSchema<typeof person> = { name: "Ada" };
 * ```
 */
export type FromSchema<S, Root = S> = S extends false ? never
  : string extends keyof S ? unknown
  : S extends { readonly $ref: infer Reference } ? FromReference<Reference, Root>
  : S extends { readonly allOf: unknown } ? unknown
  : S extends { readonly const: infer Value } ? Plain<Value>
  : S extends { readonly enum: readonly (infer Value)[] } ? Plain<Value>
  : S extends { readonly anyOf: readonly (infer Option)[] } ? FromSchema<Option, Root>
  : S extends { readonly oneOf: readonly (infer Option)[] } ? FromSchema<Option, Root>
  : S extends { readonly type: readonly (infer Type)[] } ? FromType<Type, S, Root>
  : S extends { readonly type: infer Type } ? FromType<Type, S, Root>
  : S extends { readonly properties: unknown } ? FromType<"object", S, Root>
  : unknown;

/**
 * What a reference stands for.
 *
 * @internal
 */
type FromReference<Reference, Root> = string extends Reference ? unknown
  : Reference extends "#" ? FromSchema<Root>
  : Reference extends `#/$defs/${infer Name}`
    ? Root extends { readonly $defs: { readonly [Key in Name]: infer Target } } ? FromSchema<Target, Root> : unknown
  : unknown;

/**
 * One type per name, so that a list of names becomes their union.
 *
 * @internal
 */
type FromType<Type, S, Root> = Type extends "string" ? string
  : Type extends "number" | "integer" ? number
  : Type extends "boolean" ? boolean
  : Type extends "null" ? null
  : Type extends "array" ? FromItems<S, Root>
  : Type extends "object" ? FromProperties<S, Root>
  : unknown;

type FromItems<S, Root> = S extends { readonly prefixItems: unknown } ? unknown[]
  : S extends { readonly items: infer Item } ? FromSchema<Item, Root>[]
  : unknown[];

type FromProperties<S, Root> = S extends { readonly properties: infer Properties } ? Flat<
    & { -readonly [Name in keyof Properties & RequiredOf<S>]: FromSchema<Properties[Name], Root> }
    & { -readonly [Name in Exclude<keyof Properties, RequiredOf<S>>]?: FromSchema<Properties[Name], Root> }
  >
  : S extends { readonly additionalProperties: infer Value } ? { [key: string]: FromSchema<Value, Root> }
  : JsonFields;

/** Of names that are not literals nothing is known, so none is required. */
type RequiredOf<S> = S extends { readonly required: readonly (infer Name)[] } ? string extends Name ? never : Name
  : never;

/** One object type instead of an intersection, as editors show it. */
type Flat<T> = { [Key in keyof T]: T[Key] };

/**
 * A literal value without the `readonly` that came with it; `any` in it becomes `unknown`.
 *
 * @internal
 */
type Plain<T> = 0 extends 1 & T ? unknown : T extends object ? { -readonly [Key in keyof T]: Plain<T[Key]> } : T;
