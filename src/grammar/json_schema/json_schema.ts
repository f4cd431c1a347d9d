/**
 * JSON Schema as rules: every text they match parses, and is valid under the schema. Owns the keywords and what they
 * mean together; how a value of a type is spelled is `json_values.ts`'s and `json_numbers.ts`'s. The way back does not
 * hold: of what is valid, only what a model would sensibly write can be generated (see `#object` and `#alternatives`).
 *
 * Our own and not node-llama-cpp's, which takes every property as required, knows no `allOf`, no bounds of numbers, no
 * references out of `$defs`, and ignores the keywords it does not know instead of refusing them.
 */
import { GrammarError, type GrammarSymbol } from "../gbnf.ts";
import type { GrammarBuilder } from "../grammar_builder.ts";
import type { Bounds } from "./json_numbers.ts";
import { compilePattern, PatternError } from "./json_pattern.ts";
import { FORMATS, JSON_SPELLING, JsonValues, type Spelling } from "./json_values.ts";
import { isObject, isOf, type Keywords, type Located, readTypes, SchemaReader, type Type } from "./schema_reader.ts";
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

/** How a value is written where it stands. */
export interface Notation {
  /** Tells notations apart. */
  readonly name: string;
  readonly spelling: Spelling;
  /** How an object is written, if not as the spelling has it. */
  readonly object?: ObjectNotation;
  /** How a list is written, if not as the spelling has it. */
  readonly array?: { readonly open: GrammarSymbol[]; readonly close: GrammarSymbol[]; readonly items: Notation };
  /** Stands before a value of a type. */
  readonly before?: (type: Type) => GrammarSymbol[];
  /** How objects and lists are written where they are values; absent: the same way. */
  readonly inner?: Notation;
  /** Properties stand in the order of their names. */
  readonly sorted?: boolean;
  /** A value may also be written so. */
  readonly also?: Notation;
}

/** An object whose properties are elements, or arguments. */
export interface ObjectNotation {
  readonly open: GrammarSymbol[];
  readonly close: GrammarSymbol[];
  readonly separator: GrammarSymbol[];
  readonly beforeKey: GrammarSymbol[];
  readonly anyKey: GrammarSymbol[];
  /** Between a property's name and its value. */
  readonly afterKey: GrammarSymbol[];
  readonly afterValue: (name: string | undefined) => GrammarSymbol[];
  /** How the value of a property is written; of one that nothing is said of, where there is no name. */
  readonly values: (name: string | undefined) => Notation;
}

/** JSON. */
const JSON_NOTATION: Notation = { name: "json", spelling: JSON_SPELLING };

/** Where a schema stands. */
interface Place {
  readonly at: Path;
  readonly depth: number;
  readonly notation: Notation;
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
export function compileSchema(
  schema: unknown,
  options: { builder: GrammarBuilder; path: string; notation?: Notation },
): GrammarSymbol[] {
  return new Compiler(schema, options).compile();
}

class Compiler {
  readonly #builder: GrammarBuilder;
  readonly #notation: Notation;
  readonly #reader: SchemaReader;
  readonly #overlap: SchemaOverlap;
  /** References by what they say, and those whose rule is not defined yet. */
  readonly #rules = new Map<string, number>();
  readonly #open: {
    readonly rule: number;
    readonly schema: unknown;
    readonly at: Path;
    readonly notation: Notation;
  }[] = [];
  /** References that stand where another's text begins. */
  readonly #begins: { readonly rule: number; readonly first: number; readonly at: Path }[] = [];
  readonly #places = new Map<number, Path>();
  #nodes = 0;
  /** What is being compiled. */
  #at: Path;

  constructor(
    schema: unknown,
    { builder, path, notation = JSON_NOTATION }: { builder: GrammarBuilder; path: string; notation?: Notation },
  ) {
    this.#builder = builder;
    this.#notation = notation;
    this.#at = { key: path };
    this.#reader = new SchemaReader(schema, this.#at, (at) => this.#count(at));
    this.#overlap = new SchemaOverlap(schema, this.#at);
  }

  compile(): GrammarSymbol[] {
    try {
      const root = this.#reference("#", { at: this.#at, depth: 0, head: INSIDE, notation: this.#notation });
      for (const { rule, schema, at, notation } of this.#open) {
        this.#builder.define(rule, [this.#schema(schema, { at, depth: 0, head: rule, notation })]);
      }
      this.#refuseEndless();
      return root;
    } catch (error) {
      // The builder knows its limits, but not what it is building.
      if (!(error instanceof GrammarError) || error instanceof SchemaError) throw error;
      throw new SchemaError(`"${show(this.#at)}" makes the grammar too large: ${error.message}`);
    }
  }

  #schema(schema: unknown, place: Place): GrammarSymbol[] {
    const { at, depth } = place;
    this.#at = at;
    if (depth > MAX_DEPTH) throw new SchemaError(`"${show(at)}" nests schemas more than ${MAX_DEPTH} deep`);
    const only = this.#reader.loneReference(schema, at);
    if (only !== undefined) return this.#reference(only.pointer, { ...place, at: only.at });
    return this.#keywords(this.#reader.read(schema, at), place);
  }

  #values({ notation }: Place): JsonValues {
    return JsonValues.of(this.#builder, notation.spelling);
  }

  #keywords(keywords: Keywords, place: Place): GrammarSymbol[] {
    const { also, ...own } = place.notation;
    if (also === undefined) return this.#written(keywords, place);
    return this.#builder.choice(
      [{ ...own, name: `${own.name} only` }, also].map((notation) => this.#written(keywords, { ...place, notation })),
    );
  }

  #written(keywords: Keywords, place: Place): GrammarSymbol[] {
    if (keywords.size === 0) return this.#any(place);
    for (const name of ["anyOf", "oneOf"]) {
      if (keywords.has(name)) return this.#alternatives(name, keywords, place);
    }
    if (keywords.has("const") || keywords.has("enum")) return this.#literals(keywords, place);
    return this.#oneOf(this.#types(keywords, place.at).map((type) => this.#type(type, keywords, place)));
  }

  /** Anything, where nothing is demanded. */
  #any(place: Place): GrammarSymbol[] {
    const { notation } = place;
    if (notation.before === undefined && notation.object === undefined && notation.inner === undefined) {
      return this.#values(place).any;
    }
    // A rule of its own, for it contains itself.
    const key = `${notation.name} anything`;
    let rule = this.#rules.get(key);
    if (rule === undefined) {
      rule = this.#builder.declare();
      this.#rules.set(key, rule);
      const types: Type[] = ["string", "number", "boolean", "null", "array", "object"];
      this.#builder.define(rule, types.map((type) => this.#type(type, new Map(), place)));
    }
    return [{ rule }];
  }

  /** Also `oneOf` is any of its schemas, which is why no value may fit two of them. */
  #alternatives(name: string, keywords: Keywords, { at, depth, head, notation }: Place): GrammarSymbol[] {
    const { value, at: where } = keywords.get(name) as { value: unknown; at: Path };
    if (!Array.isArray(value) || value.length === 0) throw new SchemaError(`"${show(where)}" must list schemas`);
    const others = new Map([...keywords].filter(([other]) => other !== name));
    const alternatives = value.map((schema, index) => {
      const here: Place = { at: child(where, index), depth: depth + 1, head, notation };
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

  #literals(keywords: Keywords, place: Place): GrammarSymbol[] {
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
    const fitting = values
      .map((each, index) => ({ each, text: this.#literal(each, name === "enum" ? child(at, index) : at, 0) }))
      .filter(({ each }) => types === undefined || types.some((type) => isOf(each, type)));
    if (fitting.length === 0) throw new SchemaError(`"${show(at)}" has no value of the type it must have`);
    const { notation } = place;
    const jsonValues = this.#values(place);
    if (jsonValues.plain && notation.before === undefined) return jsonValues.literals(fitting.map(({ text }) => text));
    return this.#builder.choice(fitting.map(({ each }) => {
      const type = typeOf(each);
      const inner = type === "object" || type === "array" ? notation.inner : undefined;
      const values = inner === undefined ? jsonValues : JsonValues.of(this.#builder, inner.spelling);
      return [...notation.before?.(type) ?? [], ...values.literal(each)];
    }));
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

  #type(type: Type, keywords: Keywords, place: Place): GrammarSymbol[] {
    const value = this.#valueOf(type, keywords, place);
    const before = place.notation.before?.(type) ?? [];
    return before.length === 0 ? value : [...before, ...value];
  }

  #valueOf(type: Type, keywords: Keywords, place: Place): GrammarSymbol[] {
    const { inner } = place.notation;
    if (inner !== undefined && (type === "object" || type === "array")) {
      return this.#composite(type, keywords, { ...place, notation: inner });
    }
    switch (type) {
      case "object":
        return place.notation.object === undefined
          ? this.#object(keywords, place)
          : this.#elements(keywords, place, place.notation.object);
      case "array":
        return this.#array(keywords, place);
      case "string":
        return this.#string(keywords, place);
      case "integer":
      case "number":
        return this.#number(type, keywords, place);
      case "boolean":
        return this.#values(place).boolean;
      case "null":
        return this.#values(place).null;
    }
  }

  /** An object or a list in a notation of its own, or in any of several. */
  #composite(type: "object" | "array", keywords: Keywords, place: Place): GrammarSymbol[] {
    const { also, ...own } = place.notation;
    const write = (notation: Notation): GrammarSymbol[] => this.#valueOf(type, keywords, { ...place, notation });
    if (also === undefined) return write(own);
    return this.#builder.choice([write({ ...own, name: `${own.name} only` }), write(also)]);
  }

  /**
   * Properties in the schema's order. Where nothing is said of additional ones, an object with properties gets none, as
   * what was not asked for is of no use to anybody.
   */
  #object(keywords: Keywords, place: Place): GrammarSymbol[] {
    const { at, notation } = place;
    const b = this.#builder;
    const values = this.#values(place);
    const { declared, required, more, moreAt } = this.#properties(keywords, at, notation.sorted);
    if (more === true && declared.size === 0) return values.anyObject;
    const entries = [...declared].map(([name, { schema, at: where }]) => {
      this.#at = where;
      this.#text(name, where);
      const entry = [
        ...values.key(name),
        ...values.colon,
        ...this.#schema(schema, this.#inside(where, place, notation)),
      ];
      return { entry: b.choice([entry]), required: required.has(name) };
    });
    this.#at = at;
    const further = more === false ? undefined : b.choice([[
      ...values.keyOtherThan([...declared.keys()]),
      ...values.colon,
      ...this.#schema(more, this.#inside(moreAt, place, notation)),
    ]]);
    return [...b.text("{"), ...this.#sequence(entries, further, values.comma), ...b.text("}")];
  }

  /** The same where a notation writes each property as an element or an argument. */
  #elements(keywords: Keywords, place: Place, written: ObjectNotation): GrammarSymbol[] {
    const { at } = place;
    const b = this.#builder;
    const { declared, required, more, moreAt } = this.#properties(keywords, at, place.notation.sorted);
    const element = (key: GrammarSymbol[], schema: unknown, where: Path, name?: string): GrammarSymbol[] =>
      b.choice([[
        ...written.beforeKey,
        ...key,
        ...written.afterKey,
        ...this.#schema(schema, this.#inside(where, place, written.values(name))),
        ...written.afterValue(name),
      ]]);
    const entries = [...declared].map(([name, { schema, at: where }]) => {
      this.#at = where;
      this.#text(name, where);
      return { entry: element(b.text(name), schema, where, name), required: required.has(name) };
    });
    this.#at = at;
    const further = more === false ? undefined : element(written.anyKey, more, moreAt);
    return [...written.open, ...this.#sequence(entries, further, written.separator), ...written.close];
  }

  #inside(at: Path, { depth }: Place, notation: Notation): Place {
    return { at, depth: depth + 1, head: INSIDE, notation };
  }

  /** What an object has, and what it may have beyond that. */
  #properties(keywords: Keywords, at: Path, sorted = false): {
    readonly declared: Map<string, Located>;
    readonly required: ReadonlySet<string>;
    readonly more: unknown;
    readonly moreAt: Path;
  } {
    let declared = this.#reader.properties(keywords);
    const required = this.#reader.required(keywords);
    const additional = keywords.get("additionalProperties");
    const more = additional?.value ?? (declared.size + required.size === 0);
    const moreAt = additional?.at ?? at;
    if (sorted) declared = new Map([...declared].sort(([a], [b]) => a < b ? -1 : 1));
    for (const name of required) {
      if (declared.has(name)) continue;
      if (additional?.value === false) {
        throw new SchemaError(`"${show(at)}" requires "${name.slice(0, 64)}", which it does not allow`);
      }
      declared.set(name, { schema: additional?.value ?? true, at: moreAt });
    }
    return { declared, required, more, moreAt };
  }

  /** Entries in their order, those that are not required or not, then any number of further ones. */
  #sequence(
    entries: { readonly entry: GrammarSymbol[]; readonly required: boolean }[],
    further: GrammarSymbol[] | undefined,
    separator: GrammarSymbol[],
  ): GrammarSymbol[] {
    const b = this.#builder;
    let rest: GrammarSymbol[] = [];
    let first: GrammarSymbol[] = [];
    if (further !== undefined) {
      rest = b.repeat([...separator, ...further], 0, Infinity);
      first = b.optional([...further, ...rest]);
    }
    // From the last to the first: what may follow an entry, and what may stand where none has stood before.
    for (const { entry, required } of entries.reverse()) {
      const following = [...separator, ...entry, ...rest];
      const beginning = [...entry, ...rest];
      rest = b.choice(required ? [following] : [following, rest]);
      first = required ? beginning : b.choice([beginning, first]);
    }
    return first;
  }

  #array(keywords: Keywords, place: Place): GrammarSymbol[] {
    const { at, depth, notation } = place;
    const b = this.#builder;
    const written = notation.array;
    const comma = written === undefined ? this.#values(place).comma : [];
    const items0 = written?.items ?? notation;
    const wrap = (item: GrammarSymbol[]): GrammarSymbol[] =>
      written === undefined ? item : [...written.open, ...item, ...written.close];
    const unique = keywords.get("uniqueItems");
    if (unique !== undefined && unique.value !== false) throw new SchemaError(`"${show(unique.at)}" is not supported`);
    const least = readCount(keywords, "minItems") ?? 0;
    const prefix = keywords.get("prefixItems");
    if (prefix !== undefined && (!Array.isArray(prefix.value) || prefix.value.length === 0)) {
      throw new SchemaError(`"${show(prefix.at)}" must list schemas`);
    }
    const prefixed = ((prefix?.value ?? []) as unknown[]).map((schema, index) =>
      wrap(
        this.#schema(schema, { at: child(prefix?.at ?? at, index), depth: depth + 1, head: INSIDE, notation: items0 }),
      )
    );
    const items = keywords.get("items");
    // As with properties: behind items that are told one by one come none that are not.
    const further = items?.value ?? (prefixed.length === 0 || least > prefixed.length);
    const most = Math.min(readCount(keywords, "maxItems") ?? Infinity, further === false ? prefixed.length : Infinity);
    if (most < least) throw new SchemaError(`"${show(at)}" allows no number of items`);
    const item = further === false ? [] : b.choice([
      wrap(this.#schema(further, { at: items?.at ?? at, depth: depth + 1, head: INSIDE, notation: items0 })),
    ]);
    this.#at = at;
    const nth = (index: number): GrammarSymbol[] => [
      ...(index === 0 ? [] : comma),
      ...(prefixed[index] ?? item),
    ];
    const fixed = Math.max(least, most === Infinity ? Math.max(prefixed.length, 1) : most);
    this.#refuseMany(fixed, at);
    let rest: GrammarSymbol[] = most === Infinity ? b.repeat([...comma, ...item], 0, Infinity) : [];
    for (let index = fixed - 1; index >= least; index--) rest = b.optional([...nth(index), ...rest]);
    const needed = Array.from({ length: least }, (_, index) => nth(index));
    const all = [...needed.flat(), ...rest];
    return written === undefined ? [...b.text("["), ...all, ...b.text("]")] : all;
  }

  #string(keywords: Keywords, place: Place): GrammarSymbol[] {
    const values = this.#values(place);
    const least = readCount(keywords, "minLength");
    const most = readCount(keywords, "maxLength");
    const format = keywords.get("format");
    const pattern = keywords.get("pattern");
    // Schema libraries write a pattern beside a format, and mean the same by both.
    if (pattern !== undefined) {
      if (least !== undefined || most !== undefined) {
        throw new SchemaError(`"${show(pattern.at)}" cannot stand beside a length`);
      }
      return this.#pattern(pattern.value, pattern.at, values);
    }
    if (format !== undefined) {
      const known = FORMATS.find((name) => name === format.value);
      if (known === undefined) throw new SchemaError(`"${show(format.at)}" must be one of ${FORMATS.join(", ")}`);
      if (least !== undefined || most !== undefined) {
        throw new SchemaError(`"${show(format.at)}" cannot stand beside a length`);
      }
      return values.format(known);
    }
    if (least === undefined && most === undefined) return values.anyString;
    if ((most ?? Infinity) < (least ?? 0)) {
      throw new SchemaError(`"${show(keywords.get("maxLength")?.at ?? this.#at)}" is less than "minLength"`);
    }
    this.#refuseMany(most ?? least ?? 0, this.#at);
    return values.string(least ?? 0, most ?? Infinity);
  }

  #pattern(pattern: unknown, at: Path, values: JsonValues): GrammarSymbol[] {
    if (typeof pattern !== "string") throw new SchemaError(`"${show(at)}" must be a string`);
    try {
      return values.quoted(compilePattern(pattern, this.#builder));
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw new SchemaError(`"${show(at)}" is not supported: ${error.message}`);
    }
  }

  #number(type: "integer" | "number", keywords: Keywords, place: Place): GrammarSymbol[] {
    const { at } = place;
    const values = this.#values(place);
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
    if (type === "number" && least === -Infinity && most === Infinity) return values.number;
    const bounds: Bounds = { least, above: above === least, most, below: below === most };
    const symbols = values.numbers(type, bounds);
    if (symbols === undefined) throw new SchemaError(`"${show(at)}" allows no number that could be written`);
    return symbols;
  }

  /** What a reference refers to is one rule, however often it is referred to. */
  #reference(pointer: string, { at, head, notation }: Place): GrammarSymbol[] {
    const key = `${notation.name} ${pointer}`;
    let rule = this.#rules.get(key);
    if (rule === undefined) {
      const target = this.#reader.resolve(pointer, at);
      rule = this.#builder.declare();
      this.#rules.set(key, rule);
      this.#places.set(rule, at);
      this.#open.push({ rule, notation, ...target });
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

  #oneOf(alternatives: GrammarSymbol[][]): GrammarSymbol[] {
    return alternatives.length === 1 ? alternatives[0] as GrammarSymbol[] : this.#builder.choice(alternatives);
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

function typeOf(value: unknown): Type {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  const type = typeof value;
  return type === "number" ? Number.isInteger(value) ? "integer" : "number" : type as Type;
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
