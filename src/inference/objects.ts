/** Plain objects: whether a value is one, and one without the properties that have no value. */

import { JoinedText } from "@inferd/client/protocol";

/** A text in parts is none. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JoinedText);
}

type Defined<Values> = { readonly [Key in keyof Values]?: Exclude<Values[Key], undefined> };

/** The properties that are not `undefined`, in their order: a property without a value differs from none. */
export function defined<Values extends object>(values: Values): Defined<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<Values>;
}
