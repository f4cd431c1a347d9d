/**
 * Whether the alternatives of a `oneOf` can be told apart: whether nothing that is written for one is valid under
 * another. Says so only where it is certain. What is written is less than what is valid (an object gets no properties
 * that were not asked for), so every two are looked at both ways. A `format` or a `pattern` tells nothing apart: the
 * one may be taken as an annotation, and trying the other could take forever.
 */
import { areNumbersApart, describe, isNone, type Range, range, typesOf } from "./schema_facts.ts";
import {
  isObject,
  isOf,
  type Keywords,
  type Located,
  readTypes,
  SchemaReader,
  type Type,
  TYPES,
} from "./schema_reader.ts";
import { child, type Path, SchemaError, show } from "./schema_path.ts";

/** Schemas in schemas, values in values, and references to references. */
const MAX_DEPTH = 64;
/** Parts read and pairs compared for all of a schema: some 300 constants with each other. */
const MAX_STEPS = 100_000;

const ANYTHING: Keywords = new Map();

/** Compares the schemas within one. */
export class SchemaOverlap {
  readonly #reader: SchemaReader;
  /** Read once, so that a schema is told by the identity of its keywords. */
  readonly #read = new Map<object, Keywords>();
  readonly #alternatives = new Map<Keywords, readonly Keywords[] | undefined>();
  readonly #values = new Map<Keywords, ReadonlyMap<string, Keywords> | undefined>();
  readonly #objects = new Map<Keywords, { properties: Map<string, Located>; required: Set<string> }>();
  /** What is written for the first is never valid under the second; `false` also while that is being found out. */
  readonly #apart = new Map<Keywords, Map<Keywords, boolean>>();
  #steps = 0;
  /** What is being compared with others. */
  #at: Path;

  constructor(schema: unknown, at: Path) {
    this.#at = at;
    this.#reader = new SchemaReader(schema, at, () => this.#count(1));
  }

  /**
   * Refuse a `oneOf` of which a value might fit two alternatives.
   *
   * @param keywords What has the `oneOf`, and what is demanded beside it.
   * @throws {SchemaError} If two cannot be told apart; the message names both.
   */
  refuse(keywords: Keywords): void {
    const where = keywords.get("oneOf")?.at ?? this.#at;
    const alternatives = this.#split(keywords, "oneOf") ?? [];
    for (const [second, other] of alternatives.entries()) {
      this.#at = child(where, second);
      for (let first = 0; first < second; first++) {
        const one = alternatives[first] ?? ANYTHING;
        if (this.#isApart(one, other, 0) && this.#isApart(other, one, 0)) continue;
        throw new SchemaError(
          `"${show(this.#at)}" cannot be told apart from "${show(child(where, first))}": ` +
            `a value may fit both, which "anyOf" allows and "oneOf" does not`,
        );
      }
    }
  }

  #isApart(written: Keywords, other: Keywords, depth: number): boolean {
    this.#count(1);
    if (depth > MAX_DEPTH || written === other) return false;
    const [values, others] = [this.#finite(written), this.#finite(other)];
    if (values !== undefined && others !== undefined) {
      this.#count(values.size - 1);
      return values.keys().every((value) => !others.has(value));
    }
    let known = this.#apart.get(written);
    if (known === undefined) this.#apart.set(written, known = new Map());
    let isApart = known.get(other);
    if (isApart === undefined) {
      known.set(other, false);
      known.set(other, isApart = this.#compare(written, other, depth + 1));
    }
    return isApart;
  }

  #compare(written: Keywords, other: Keywords, depth: number): boolean {
    // Alternatives before values, as a value is only compared as such with values.
    const ones = this.#union(written);
    if (ones !== undefined) return ones.every((one) => this.#isApart(one, other, depth));
    const others = this.#union(other) ?? this.#finite(other)?.values().toArray();
    if (others !== undefined) return others.every((each) => this.#isApart(written, each, depth));
    const values = this.#finite(written);
    if (values !== undefined) return values.values().every((value) => this.#isApart(value, other, depth));
    const [types, otherTypes] = [typesOf(written), typesOf(other)];
    return types.every((type) => !otherTypes.includes(type) || this.#isTypeApart(type, [written, other], depth));
  }

  #isTypeApart(type: Type, [written, other]: readonly [Keywords, Keywords], depth: number): boolean {
    switch (type) {
      case "object":
        return this.#areObjectsApart(written, other, depth);
      case "array":
        return this.#areArraysApart(written, other, depth);
      case "string":
        return isNone([range(written, "minLength", "maxLength"), range(other, "minLength", "maxLength")]);
      case "number":
        return areNumbersApart(written, other);
      default:
        return false;
    }
  }

  /** A property that every value of either has. */
  #areObjectsApart(written: Keywords, other: Keywords, depth: number): boolean {
    const isPropertyApart = (name: string): boolean => {
      const [mine, theirs] = [this.#property(written, name, true), this.#property(other, name, false)];
      return mine === undefined || theirs === undefined || this.#isApart(mine, theirs, depth);
    };
    return [written, other].some((each) => this.#object(each).required.values().some(isPropertyApart));
  }

  #property(keywords: Keywords, name: string, isWritten: boolean): Keywords | undefined {
    const { properties, required } = this.#object(keywords);
    const declared = properties.get(name);
    if (declared !== undefined) return this.#schema(declared);
    const additional = keywords.get("additionalProperties");
    if (additional?.value === false) return undefined;
    if (additional !== undefined) return this.#schema({ schema: additional.value, at: additional.at });
    // Of what nothing is said, only what must be there is written.
    const isLeftOut = isWritten && properties.size + required.size > 0 && !required.has(name);
    return isLeftOut ? undefined : ANYTHING;
  }

  /** Numbers of items, or an item that every value has. */
  #areArraysApart(written: Keywords, other: Keywords, depth: number): boolean {
    const [mine, theirs] = [this.#array(written, true), this.#array(other, false)];
    if (isNone([mine, theirs])) return true;
    // Behind those told one by one, all are alike.
    const told = Math.max(mine.prefix.length, theirs.prefix.length) + 1;
    for (let index = 0; index < Math.min(told, Math.max(mine.least, theirs.least)); index++) {
      if (this.#isApart(this.#item(mine, index), this.#item(theirs, index), depth)) return true;
    }
    return false;
  }

  #array(keywords: Keywords, isWritten: boolean): Items {
    const { least, most } = range(keywords, "minItems", "maxItems");
    const told = keywords.get("prefixItems");
    const prefix = Array.isArray(told?.value) ? told.value : [];
    const items = keywords.get("items");
    const further = items?.value ?? (!isWritten || prefix.length === 0 || least > prefix.length);
    const at = items?.at ?? this.#at;
    return { least, most: further === false ? Math.min(most, prefix.length) : most, prefix, further, at };
  }

  #item({ prefix, further, at }: Items, index: number): Keywords {
    return this.#schema({ schema: index < prefix.length ? prefix[index] : further, at });
  }

  #object(keywords: Keywords): { properties: Map<string, Located>; required: Set<string> } {
    return getOrMake(this.#objects, keywords, () => {
      const properties = this.#reader.properties(keywords);
      // Constants first, as they are what mostly tells objects apart.
      const isConstant = (name: string): boolean => {
        const schema = properties.get(name)?.schema;
        return isObject(schema) && (Object.hasOwn(schema, "const") || Object.hasOwn(schema, "enum"));
      };
      const names = [...this.#reader.required(keywords)];
      const required = new Set([...names.filter(isConstant), ...names]);
      return { properties, required };
    });
  }

  /** The schemas a schema is any of, if it is. */
  #union(keywords: Keywords): readonly Keywords[] | undefined {
    return getOrMake(
      this.#alternatives,
      keywords,
      () => this.#split(keywords, "anyOf") ?? this.#split(keywords, "oneOf"),
    );
  }

  #split(keywords: Keywords, name: "anyOf" | "oneOf"): Keywords[] | undefined {
    const keyword = keywords.get(name);
    if (!Array.isArray(keyword?.value)) return undefined;
    const others = new Map([...keywords].filter(([other]) => other !== name));
    return keyword.value.map((schema, index) => {
      const read = this.#schema({ schema, at: child(keyword.at, index) });
      return others.size === 0 ? read : this.#reader.merge([others, read]);
    });
  }

  /** The values a schema lists, each as a schema, by a text that equal ones share. */
  #finite(keywords: Keywords): ReadonlyMap<string, Keywords> | undefined {
    const keyword = keywords.get("const") ?? keywords.get("enum");
    if (keyword === undefined || keywords.has("anyOf") || keywords.has("oneOf")) return undefined;
    return getOrMake(this.#values, keywords, () => {
      const type = keywords.get("type");
      const types = type === undefined ? TYPES : readTypes(type);
      const values = keywords.has("const") ? [keyword.value] : Array.isArray(keyword.value) ? keyword.value : [];
      const allowed = values.filter((value) => types.some((type) => isOf(value, type)));
      return new Map(allowed.map((value) => [this.#text(value, 0), describe(value, keyword.at)]));
    });
  }

  #text(value: unknown, depth: number): string {
    this.#count(1);
    // Too deep ones are refused where they are written.
    if (depth > MAX_DEPTH) return "";
    if (Array.isArray(value)) return `[${value.map((item) => this.#text(item, depth + 1)).join()}]`;
    if (!isObject(value)) return JSON.stringify(value);
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${this.#text(value[name], depth + 1)}`).join()}}`;
  }

  #schema({ schema, at }: Located): Keywords {
    if (schema === true) return ANYTHING;
    for (let hops = 0; hops < MAX_DEPTH; hops++) {
      const lone = this.#reader.loneReference(schema, at);
      if (lone === undefined) break;
      ({ schema, at } = this.#reader.resolve(lone.pointer, lone.at));
    }
    return isObject(schema)
      ? getOrMake(this.#read, schema, () => this.#reader.read(schema, at))
      : this.#reader.read(schema, at);
  }

  #count(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) {
      throw new SchemaError(`"${show(this.#at)}" is too large to be told apart from others: "anyOf" allows it`);
    }
  }
}

interface Items extends Range {
  readonly prefix: readonly unknown[];
  /** The schema of items behind the prefix. */
  readonly further: unknown;
  readonly at: Path;
}

function getOrMake<K, V>(made: Map<K, V>, key: K, make: () => V): V {
  const known = made.get(key);
  if (known !== undefined || made.has(key)) return known as V;
  const value = make();
  made.set(key, value);
  return value;
}
