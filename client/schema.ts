/**
 * The TypeScript type of what a JSON Schema describes, worked out by the compiler. Nothing is checked at run time: the
 * daemon writes nothing else than the schema allows.
 */

/**
 * A JSON Schema of an object, or of anything else that is not `true` or `false`. Which parts of JSON Schema are
 * understood is the daemon's business; it refuses what it does not.
 */
export type JsonSchema = { readonly [key: string]: unknown };

/** Anything a JSON object can hold. */
export type JsonFields = { [key: string]: unknown };

/**
 * The type of the values a JSON Schema allows, as far as TypeScript can say: objects with required and optional
 * properties, arrays, `enum`, `const`, `anyOf`, `oneOf`, lists of types and primitives, nested. The rest is `unknown`,
 * so is `$ref`, and a schema that is not a literal.
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
export type FromSchema<S> = S extends false ? never
  : string extends keyof S ? unknown
  : S extends { readonly $ref: string } ? unknown
  : S extends { readonly allOf: unknown } ? unknown
  : S extends { readonly const: infer Value } ? Plain<Value>
  : S extends { readonly enum: readonly (infer Value)[] } ? Plain<Value>
  : S extends { readonly anyOf: readonly (infer Option)[] } ? FromSchema<Option>
  : S extends { readonly oneOf: readonly (infer Option)[] } ? FromSchema<Option>
  : S extends { readonly type: readonly (infer Type)[] } ? FromType<Type, S>
  : S extends { readonly type: infer Type } ? FromType<Type, S>
  : S extends { readonly properties: unknown } ? FromType<"object", S>
  : unknown;

/** One type per name, so that a list of names becomes their union. */
type FromType<Type, S> = Type extends "string" ? string
  : Type extends "number" | "integer" ? number
  : Type extends "boolean" ? boolean
  : Type extends "null" ? null
  : Type extends "array" ? FromItems<S>
  : Type extends "object" ? FromProperties<S>
  : unknown;

type FromItems<S> = S extends { readonly prefixItems: unknown } ? unknown[]
  : S extends { readonly items: infer Item } ? FromSchema<Item>[]
  : unknown[];

type FromProperties<S> = S extends { readonly properties: infer Properties } ? Flat<
    & { -readonly [Name in keyof Properties & RequiredOf<S>]: FromSchema<Properties[Name]> }
    & { -readonly [Name in Exclude<keyof Properties, RequiredOf<S>>]?: FromSchema<Properties[Name]> }
  >
  : S extends { readonly additionalProperties: infer Value } ? { [key: string]: FromSchema<Value> }
  : JsonFields;

type RequiredOf<S> = S extends { readonly required: readonly (infer Name)[] } ? Name : never;

/** One object type instead of an intersection, as editors show it. */
type Flat<T> = { [Key in keyof T]: T[Key] };

/** A literal value without the `readonly` that came with it. */
type Plain<T> = T extends object ? { -readonly [Key in keyof T]: Plain<T[Key]> } : T;
