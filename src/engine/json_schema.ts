/**
 * JSON Schema as rules: every text they match parses, and is valid under the schema. Owns the keywords and what they
 * mean together; how a value of a type is spelled is `json_values.ts`'s and `json_numbers.ts`'s. The way back does not
 * hold: of what is valid, only what a model would sensibly write can be generated (see `#object` and `#alternatives`).
 *
 * Our own and not node-llama-cpp's, which takes every property as required, knows no `allOf`, no bounds of numbers, no
 * references out of `$defs`, and ignores the keywords it does not know instead of refusing them.
 */
import { GrammarError, type Symbol } from "./gbnf.ts";
import type { GrammarBuilder } from "./grammar_builder.ts";
import type { Bounds } from "./json_numbers.ts";
import { compilePattern, PatternError } from "./json_pattern.ts";
import { FORMATS, JsonValues } from "./json_values.ts";
import { isObject, isOf, type Keywords, readTypes, SchemaReader, type Type } from "./schema_reader.ts";
import { SchemaOverlap } from "./schema_overlap.ts";
import { child, type Path, SchemaError, show } from "./schema_path.ts";

/** Schemas in schemas. */
const MAX_DEPTH = 64;
/** Subschemas, properties and values of one schema, with what is merged counted each time. */
const MAX_NODES = 20_000;
/** What a schema is not at the beginning of a reference's rule. */
const INSIDE = -1;

const OBJECT = ["properties", "required", "additionalProperties"];
const ARRAY = ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"];
const STRING = ["minLength", "maxLength", "format", "pattern"];
const NUMBER = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/** Where a schema stands. */
interface Place {
  readonly at: Path;
  readonly depth: number;
  /** The rule of the reference whose text begins with this schema's, or `INSIDE`. */
  readonly head: number;
}

/**
 * Compile a schema.
 *
 * @param schema JSON Schema, as it was sent.
 * @param options Where its rules go, and where it stands in the request.
 * @returns What matches one value.
 * @throws {GrammarError} If it cannot be compiled; the message names the path within it.
 */
export function compileSchema(schema: unknown, options: { builder: GrammarBuilder; path: string }): Symbol[] {
  return new Compiler(schema, options).compile();
}

class Compiler {
  readonly #builder: GrammarBuilder;
  readonly #values: JsonValues;
  readonly #reader: SchemaReader;
  readonly #overlap: SchemaOverlap;
  /** References by what they say, and those whose rule is not defined yet. */
  readonly #rules = new Map<string, number>();
  readonly #open: { readonly rule: number; readonly schema: unknown; readonly at: Path }[] = [];
  /** References that stand where another's text begins. */
  readonly #begins: { readonly rule: number; readonly first: number; readonly at: Path }[] = [];
  readonly #places = new Map<number, Path>();
  #nodes = 0;
  /** What is being compiled. */
  #at: Path;

  constructor(schema: unknown, { builder, path }: { builder: GrammarBuilder; path: string }) {
    this.#builder = builder;
    this.#values = JsonValues.of(builder);
    this.#at = { key: path };
    this.#reader = new SchemaReader(schema, this.#at, (at) => this.#count(at));
    this.#overlap = new SchemaOverlap(schema, this.#at);
  }

  compile(): Symbol[] {
    try {
      const root = this.#reference("#", { at: this.#at, depth: 0, head: INSIDE });
      for (const { rule, schema, at } of this.#open) {
        this.#builder.define(rule, [this.#schema(schema, { at, depth: 0, head: rule })]);
      }
      this.#refuseEndless();
      return root;
    } catch (error) {
      // The builder knows its limits, but not what it is building.
      if (!(error instanceof GrammarError) || error instanceof SchemaError) throw error;
      throw new SchemaError(`"${show(this.#at)}" makes the grammar too large: ${error.message}`);
    }
  }

  #schema(schema: unknown, place: Place): Symbol[] {
    const { at, depth } = place;
    this.#at = at;
    if (depth > MAX_DEPTH) throw new SchemaError(`"${show(at)}" nests schemas more than ${MAX_DEPTH} deep`);
    const only = this.#reader.loneReference(schema, at);
    if (only !== undefined) return this.#reference(only.pointer, { ...place, at: only.at });
    return this.#keywords(this.#reader.read(schema, at), place);
  }

  #keywords(keywords: Keywords, place: Place): Symbol[] {
    if (keywords.size === 0) return this.#values.any;
    for (const name of ["anyOf", "oneOf"]) {
      if (keywords.has(name)) return this.#alternatives(name, keywords, place);
    }
    if (keywords.has("const") || keywords.has("enum")) return this.#literals(keywords);
    return this.#oneOf(this.#types(keywords, place.at).map((type) => this.#type(type, keywords, place)));
  }

  /** Also `oneOf` is any of its schemas, which is why no value may fit two of them. */
  #alternatives(name: string, keywords: Keywords, { at, depth, head }: Place): Symbol[] {
    const { value, at: where } = keywords.get(name) as { value: unknown; at: Path };
    if (!Array.isArray(value) || value.length === 0) throw new SchemaError(`"${show(where)}" must list schemas`);
    const others = new Map([...keywords].filter(([other]) => other !== name));
    const alternatives = value.map((schema, index) => {
      const here: Place = { at: child(where, index), depth: depth + 1, head };
      return others.size === 0
        ? this.#schema(schema, here)
        : this.#keywords(this.#reader.merge([others, this.#reader.read(schema, here.at)]), this.#deeper(here, at));
    });
    if (name === "oneOf") this.#overlap.refuse(keywords);
    return this.#oneOf(alternatives);
  }

  #deeper(place: Place, at: Path): Place {
    if (place.depth > MAX_DEPTH) throw new SchemaError(`"${show(at)}" nests schemas more than ${MAX_DEPTH} deep`);
    this.#count(place.at);
    return place;
  }

  #literals(keywords: Keywords): Symbol[] {
    const name = keywords.has("const") ? "const" : "enum";
    const { value, at } = keywords.get(name) as { value: unknown; at: Path };
    for (const [other, { at: where }] of keywords) {
      if (other !== name && other !== "type") throw new SchemaError(`"${show(where)}" cannot stand beside "${name}"`);
    }
    if (name === "enum" && (!Array.isArray(value) || value.length === 0)) {
      throw new SchemaError(`"${show(at)}" must list values`);
    }
    const values: unknown[] = name === "enum" ? value as unknown[] : [value];
    const type = keywords.get("type");
    const types = type === undefined ? undefined : readTypes(type);
    const texts = values
      .map((each, index) => ({ each, text: this.#literal(each, name === "enum" ? child(at, index) : at, 0) }))
      .filter(({ each }) => types === undefined || types.some((type) => isOf(each, type)))
      .map(({ text }) => text);
    if (texts.length === 0) throw new SchemaError(`"${show(at)}" has no value of the type it must have`);
    return this.#values.literals(texts);
  }

  /** As `JSON.stringify`, but for values of any depth, and only such as can be written. */
  #literal(value: unknown, at: Path, depth: number): string {
    this.#count(at);
    if (depth > MAX_DEPTH) throw new SchemaError(`"${show(at)}" nests values more than ${MAX_DEPTH} deep`);
    // A number like 1e400 was read as infinity, which JSON cannot write.
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new SchemaError(`"${show(at)}" is too large a number`);
    }
    if (Array.isArray(value)) {
      return `[${value.map((item, index) => this.#literal(item, child(at, index), depth + 1)).join()}]`;
    }
    if (isObject(value)) {
      const entries = Object.keys(value).map((key) =>
        `${this.#text(key, at)}:${this.#literal(value[key], child(at, key), depth + 1)}`
      );
      return `{${entries.join()}}`;
    }
    return typeof value === "string" ? this.#text(value, at) : JSON.stringify(value);
  }

  #text(text: string, at: Path): string {
    if (!text.isWellFormed()) throw new SchemaError(`"${show(at)}" has half of a surrogate pair`);
    return JSON.stringify(text);
  }

  /** Its types, or those its keywords are about: without a type, they say nothing of others. */
  #types(keywords: Keywords, at: Path): Type[] {
    const type = keywords.get("type");
    if (type !== undefined) {
      const types = readTypes(type);
      if (types.length === 0) throw new SchemaError(`"${show(at)}" allows no type`);
      return types.includes("number") ? types.filter((name) => name !== "integer") : types;
    }
    const has = (names: readonly string[]): boolean => names.some((name) => keywords.has(name));
    return [
      ...(has(OBJECT) ? ["object" as const] : []),
      ...(has(ARRAY) ? ["array" as const] : []),
      ...(has(STRING) ? ["string" as const] : []),
      ...(has(NUMBER) ? ["number" as const] : []),
    ];
  }

  #type(type: Type, keywords: Keywords, place: Place): Symbol[] {
    switch (type) {
      case "object":
        return this.#object(keywords, place);
      case "array":
        return this.#array(keywords, place);
      case "string":
        return this.#string(keywords);
      case "integer":
      case "number":
        return this.#number(type, keywords, place.at);
      case "boolean":
        return this.#values.boolean;
      case "null":
        return this.#builder.text("null");
    }
  }

  /**
   * Properties in the schema's order. Where nothing is said of additional ones, an object with properties gets none, as
   * what was not asked for is of no use to anybody.
   */
  #object(keywords: Keywords, { at, depth }: Place): Symbol[] {
    const b = this.#builder;
    const declared = this.#reader.properties(keywords);
    const required = this.#reader.required(keywords);
    const additional = keywords.get("additionalProperties");
    const inside = (where: Path): Place => ({ at: where, depth: depth + 1, head: INSIDE });
    const more = additional?.value ?? (declared.size + required.size === 0);
    const moreAt = additional?.at ?? at;
    if (more === true && declared.size + required.size === 0) return this.#values.anyObject;

    for (const name of required) {
      if (declared.has(name)) continue;
      if (additional?.value === false) {
        throw new SchemaError(`"${show(at)}" requires "${name.slice(0, 64)}", which it does not allow`);
      }
      declared.set(name, { schema: additional?.value ?? true, at: moreAt });
    }
    const entries = [...declared].map(([name, { schema, at: where }]) => {
      this.#at = where;
      const key = b.text(this.#text(name, where));
      const entry = [...key, ...this.#values.colon, ...this.#schema(schema, inside(where))];
      return { entry: b.choice([entry]), required: required.has(name) };
    });
    this.#at = at;
    let rest: Symbol[] = [];
    let first: Symbol[] = [];
    if (more !== false) {
      const key = declared.size === 0 ? this.#values.anyString : this.#values.stringOtherThan([...declared.keys()]);
      const entry = b.choice([[...key, ...this.#values.colon, ...this.#schema(more, inside(moreAt))]]);
      rest = b.repeat([...this.#values.comma, ...entry], 0, Infinity);
      first = b.optional([...entry, ...rest]);
    }
    // From the last to the first: what may follow an entry, and what may stand where none has stood before.
    for (const { entry, required } of entries.reverse()) {
      const following = [...this.#values.comma, ...entry, ...rest];
      const beginning = [...entry, ...rest];
      rest = b.choice(required ? [following] : [following, rest]);
      first = required ? beginning : b.choice([beginning, first]);
    }
    return [...b.text("{"), ...first, ...b.text("}")];
  }

  #array(keywords: Keywords, { at, depth }: Place): Symbol[] {
    const b = this.#builder;
    const unique = keywords.get("uniqueItems");
    if (unique !== undefined && unique.value !== false) throw new SchemaError(`"${show(unique.at)}" is not supported`);
    const least = readCount(keywords, "minItems") ?? 0;
    const prefix = keywords.get("prefixItems");
    if (prefix !== undefined && (!Array.isArray(prefix.value) || prefix.value.length === 0)) {
      throw new SchemaError(`"${show(prefix.at)}" must list schemas`);
    }
    const prefixed = ((prefix?.value ?? []) as unknown[]).map((schema, index) =>
      this.#schema(schema, { at: child(prefix?.at ?? at, index), depth: depth + 1, head: INSIDE })
    );
    const items = keywords.get("items");
    // As with properties: behind items that are told one by one come none that are not.
    const further = items?.value ?? (prefixed.length === 0 || least > prefixed.length);
    const most = Math.min(readCount(keywords, "maxItems") ?? Infinity, further === false ? prefixed.length : Infinity);
    if (most < least) throw new SchemaError(`"${show(at)}" allows no number of items`);
    const item = further === false
      ? []
      : b.choice([this.#schema(further, { at: items?.at ?? at, depth: depth + 1, head: INSIDE })]);
    this.#at = at;
    const nth = (index: number): Symbol[] => [
      ...(index === 0 ? [] : this.#values.comma),
      ...(prefixed[index] ?? item),
    ];
    const fixed = Math.max(least, most === Infinity ? Math.max(prefixed.length, 1) : most);
    this.#refuseMany(fixed, at);
    let rest: Symbol[] = most === Infinity ? b.repeat([...this.#values.comma, ...item], 0, Infinity) : [];
    for (let index = fixed - 1; index >= least; index--) rest = b.optional([...nth(index), ...rest]);
    const needed = Array.from({ length: least }, (_, index) => nth(index));
    return [...b.text("["), ...needed.flat(), ...rest, ...b.text("]")];
  }

  #string(keywords: Keywords): Symbol[] {
    const least = readCount(keywords, "minLength");
    const most = readCount(keywords, "maxLength");
    const format = keywords.get("format");
    const pattern = keywords.get("pattern");
    // Schema libraries write a pattern beside a format, and mean the same by both.
    if (pattern !== undefined) {
      if (least !== undefined || most !== undefined) {
        throw new SchemaError(`"${show(pattern.at)}" cannot stand beside a length`);
      }
      return this.#pattern(pattern.value, pattern.at);
    }
    if (format !== undefined) {
      const known = FORMATS.find((name) => name === format.value);
      if (known === undefined) throw new SchemaError(`"${show(format.at)}" must be one of ${FORMATS.join(", ")}`);
      if (least !== undefined || most !== undefined) {
        throw new SchemaError(`"${show(format.at)}" cannot stand beside a length`);
      }
      return this.#values.format(known);
    }
    if (least === undefined && most === undefined) return this.#values.anyString;
    if ((most ?? Infinity) < (least ?? 0)) {
      throw new SchemaError(`"${show(keywords.get("maxLength")?.at ?? this.#at)}" is less than "minLength"`);
    }
    this.#refuseMany(most ?? least ?? 0, this.#at);
    return this.#values.string(least ?? 0, most ?? Infinity);
  }

  #pattern(pattern: unknown, at: Path): Symbol[] {
    if (typeof pattern !== "string") throw new SchemaError(`"${show(at)}" must be a string`);
    try {
      const quote = this.#builder.text('"');
      return [...quote, ...compilePattern(pattern, this.#builder), ...quote];
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw new SchemaError(`"${show(at)}" is not supported: ${error.message}`);
    }
  }

  #number(type: "integer" | "number", keywords: Keywords, at: Path): Symbol[] {
    const bound = (name: string): number | undefined => {
      const keyword = keywords.get(name);
      if (keyword === undefined) return undefined;
      if (typeof keyword.value !== "number") throw new SchemaError(`"${show(keyword.at)}" must be a number`);
      return keyword.value;
    };
    const [minimum, above] = [bound("minimum"), bound("exclusiveMinimum")];
    const [maximum, below] = [bound("maximum"), bound("exclusiveMaximum")];
    const least = Math.max(minimum ?? -Infinity, above ?? -Infinity);
    const most = Math.min(maximum ?? Infinity, below ?? Infinity);
    if (type === "number" && least === -Infinity && most === Infinity) return this.#values.number;
    const bounds: Bounds = { least, above: above === least, most, below: below === most };
    const symbols = this.#values.numbers(type, bounds);
    if (symbols === undefined) throw new SchemaError(`"${show(at)}" allows no number that could be written`);
    return symbols;
  }

  /** What a reference refers to is one rule, however often it is referred to. */
  #reference(pointer: string, { at, head }: Place): Symbol[] {
    let rule = this.#rules.get(pointer);
    if (rule === undefined) {
      const target = this.#reader.resolve(pointer, at);
      rule = this.#builder.declare();
      this.#rules.set(pointer, rule);
      this.#places.set(rule, at);
      this.#open.push({ rule, ...target });
    }
    if (head !== INSIDE) this.#begins.push({ rule: head, first: rule, at });
    return [{ rule }];
  }

  /** References that lead back to themselves with nothing between, and schemas that contain themselves without end. */
  #refuseEndless(): void {
    const open = new Map<number, number>();
    for (const { rule } of this.#begins) open.set(rule, (open.get(rule) ?? 0) + 1);
    const users = Map.groupBy(this.#begins, ({ first }) => first);
    const free = [...this.#rules.values()].filter((rule) => !open.has(rule));
    for (const rule of free) {
      for (const { rule: user } of users.get(rule) ?? []) {
        const left = (open.get(user) as number) - 1;
        open.set(user, left);
        if (left === 0) free.push(user);
      }
    }
    const freed = new Set(free);
    const circle = this.#begins.find(({ rule, first }) => !freed.has(rule) && !freed.has(first));
    if (circle !== undefined) throw new SchemaError(`"${show(circle.at)}" refers to itself`);
    const endless = this.#builder.endless([...this.#rules.values()]);
    if (endless !== undefined) {
      const at = this.#places.get(endless) ?? this.#at;
      throw new SchemaError(`"${show(at)}" must contain itself without end`);
    }
  }

  #oneOf(alternatives: Symbol[][]): Symbol[] {
    return alternatives.length === 1 ? alternatives[0] as Symbol[] : this.#builder.choice(alternatives);
  }

  #count(at: Path): void {
    if (++this.#nodes > MAX_NODES) {
      throw new SchemaError(`"${show(at)}" makes the schema too large: it may have ${MAX_NODES} parts`);
    }
  }

  #refuseMany(count: number, at: Path): void {
    if (count > MAX_NODES) throw new SchemaError(`"${show(at)}" repeats something more than ${MAX_NODES} times`);
  }
}

function readCount(keywords: Keywords, name: string): number | undefined {
  const keyword = keywords.get(name);
  if (keyword === undefined) return undefined;
  const { value, at } = keyword;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw new SchemaError(`"${show(at)}" must be a whole number from 0`);
  }
  return value;
}
