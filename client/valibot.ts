/**
 * Converts valibot schemas to JSON Schema. The library does so only in a separate package, but its schemas can be
 * inspected without either. Constraints omitted here are still checked by the schema's `validate`.
 */
import type { JsonSchema } from "./schema.ts";

/** valibot's representation of a schema or an action of a pipe. */
interface Node {
  readonly kind: "schema" | "validation" | "transformation" | "metadata";
  readonly type: string;
  readonly [field: string]: unknown;
}

type Fields = Record<string, unknown>;

/** Transformations after which a rule still holds for the input. */
const NEUTRAL: ReadonlySet<string> = new Set(["readonly", "brand", "flavor", "trim", "trim_start", "trim_end"]);

/** Rules whose requirement is the value of a keyword. */
const KEYWORDS: Readonly<Record<string, string>> = {
  min_value: "minimum",
  max_value: "maximum",
  gt_value: "exclusiveMinimum",
  lt_value: "exclusiveMaximum",
  multiple_of: "multipleOf",
  min_entries: "minProperties",
  max_entries: "maxProperties",
};

/** Rules of the length of a text or list, and whether they are lower and upper bounds. */
const LENGTHS: Readonly<Record<string, readonly [least: boolean, most: boolean]>> = {
  min_length: [true, false],
  max_length: [false, true],
  length: [true, true],
};

/** Rules that are a `format`. */
const FORMATS: Readonly<Record<string, string>> = {
  email: "email",
  url: "uri",
  uuid: "uuid",
  ipv4: "ipv4",
  ipv6: "ipv6",
  iso_date: "date",
  iso_timestamp: "date-time",
};

/** Wrappers that make a property optional, and those that allow `null`. */
const OPTIONAL: ReadonlySet<string> = new Set(["optional", "exact_optional", "undefinedable", "nullish"]);
const NULLABLE: ReadonlySet<string> = new Set(["nullable", "nullish"]);

/**
 * Convert a schema of valibot to JSON Schema: its input, without transformations.
 *
 * @throws {TypeError} If a part of it has no counterpart.
 */
export function valibotJsonSchema(schema: unknown): JsonSchema {
  const reading = new Reading();
  const json = reading.schema(schema as Node);
  return reading.defs.size === 0 ? json : { ...json, $defs: Object.fromEntries(reading.defs.values()) };
}

/** One schema, and the parts of it that refer to themselves. */
class Reading {
  /** By the getter of a lazy schema. */
  readonly defs = new Map<unknown, [name: string, schema: JsonSchema]>();

  schema(node: Node): JsonSchema {
    const [, ...actions] = (node.pipe ?? []) as readonly Node[];
    const fields = this.#own(node);
    for (const action of actions) {
      if (action.kind === "schema" || (action.kind === "transformation" && !NEUTRAL.has(action.type))) break;
      apply(action, fields);
    }
    return fields;
  }

  #own(node: Node): Fields {
    const { type } = node;
    if (OPTIONAL.has(type) || NULLABLE.has(type) || type.startsWith("non_")) {
      const wrapped = this.schema(node.wrapped as Node);
      return NULLABLE.has(type) ? { anyOf: [wrapped, { type: "null" }] } : { ...wrapped };
    }
    switch (type) {
      case "string":
      case "number":
      case "boolean":
      case "null":
        return { type };
      case "any":
      case "unknown":
        return {};
      case "literal":
        return { const: node.literal };
      case "picklist":
      case "enum":
        return { enum: node.options };
      case "union":
      case "variant":
        return { anyOf: this.#all(node.options) };
      case "intersect":
        return { allOf: this.#all(node.options) };
      case "array":
        return { type: "array", items: this.schema(node.item as Node) };
      case "record":
        return {
          type: "object",
          ...this.#names(node.key as Node),
          additionalProperties: this.schema(node.value as Node),
        };
      case "lazy":
        return this.#reference(node.getter as (input: undefined) => Node);
    }
    if (/^(?:\w+_)?tuple(?:_with_rest)?$/.test(type)) return this.#tuple(node);
    if (/^(?:\w+_)?object(?:_with_rest)?$/.test(type)) return this.#object(node);
    throw new TypeError(
      `Cannot use a schema of "valibot": JSON Schema has nothing for "${type}"; describe the value as text, a number ` +
        "or an object and transform it",
    );
  }

  #all(nodes: unknown): JsonSchema[] {
    return (nodes as readonly Node[]).map((node) => this.schema(node));
  }

  /** The rules for the names of a record's properties, if there are any. */
  #names(key: Node): Fields {
    const names = this.schema(key);
    return names.type === "string" && Object.keys(names).length === 1 ? {} : { propertyNames: names };
  }

  #tuple({ type, items, rest }: Node): Fields {
    const prefixItems = this.#all(items);
    const more = type === "loose_tuple" ? {} : { items: rest === undefined ? false : this.schema(rest as Node) };
    return { type: "array", prefixItems, minItems: prefixItems.length, ...more };
  }

  #object({ type, entries, rest }: Node): Fields {
    const members = Object.entries(entries as Readonly<Record<string, Node>>);
    const required = members.filter(([, { type }]) => !OPTIONAL.has(type)).map(([name]) => name);
    return {
      type: "object",
      properties: Object.fromEntries(members.map(([name, member]) => [name, this.schema(member)])),
      ...required.length === 0 ? {} : { required },
      ...type === "strict_object" ? { additionalProperties: false } : {},
      ...rest === undefined ? {} : { additionalProperties: this.schema(rest as Node) },
    };
  }

  #reference(getter: (input: undefined) => Node): Fields {
    const name = this.defs.get(getter)?.[0] ?? `schema${this.defs.size + 1}`;
    if (!this.defs.has(getter)) {
      // Known before it is read: it may refer to itself.
      this.defs.set(getter, [name, {}]);
      this.defs.set(getter, [name, this.schema(getter(undefined))]);
    }
    return { $ref: `#/$defs/${name}` };
  }
}

/** Add the rule of an action to a schema; rules without a counterpart are left to `validate`. */
function apply({ type, requirement, ...action }: Node, fields: Fields): void {
  const [least, most] = LENGTHS[type] ?? (type === "non_empty" ? [true, false] : []);
  const keyword = KEYWORDS[type];
  const format = FORMATS[type];
  const isList = fields.type === "array";
  if (least) fields[isList ? "minItems" : "minLength"] = requirement ?? 1;
  if (most) fields[isList ? "maxItems" : "maxLength"] = requirement;
  if (keyword !== undefined && typeof requirement === "number") fields[keyword] = requirement;
  if (format !== undefined) fields.format = format;
  if (type === "integer" || type === "safe_integer") fields.type = "integer";
  if (type === "regex" && requirement instanceof RegExp && !requirement.flags.includes("i")) {
    fields.pattern = requirement.source;
  }
  if (type === "title" || type === "description") fields[type] = action[type];
}
