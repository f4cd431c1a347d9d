/**
 * Compiles JSON Schema to rules: every match parses and is valid. `meaning.ts` interprets keywords and `nodes.ts`
 * merges them; this file emits rules, in any notation for values. Rules are expanded lazily, so a schema costs only as
 * much as is used of it.
 */
import type { Alternatives, GrammarSymbol } from "../rules.ts";
import type { GrammarBuilder } from "../grammar_builder.ts";
import { LanguageError } from "../language/language.ts";
import { finish, type Work } from "../../work/work.ts";
import { ArrayPlan, type ArrayState } from "./array_plan.ts";
import { FiniteItems } from "./finite_items.ts";
import { JSON_SPELLING, JsonValues, type Spelling } from "./json_values.ts";
import { Nodes } from "./nodes.ts";
import { isKeyword } from "../keywords/meaning.ts";
import { ObjectPlan, type ObjectState, type ObjectStep } from "./object_plan.ts";
import { isObject, type Type } from "../keywords/read.ts";
import { type Path, SchemaError, UnenforceableError } from "../keywords/schema_path.ts";
import type { ArrayShape, Node, ObjectShape, Shape } from "./shapes.ts";

/** Maximum parts of a schema. */
const MAX_PARTS = 50_000;

/** How a value is written in its context. */
export interface Notation {
  /** Unique name. */
  readonly name: string;
  readonly spelling: Spelling;
  /** Object notation; default: as in the spelling. */
  readonly object?: ObjectNotation;
  /** Array notation; default: as in the spelling. */
  readonly array?: { readonly open: GrammarSymbol[]; readonly close: GrammarSymbol[]; readonly items: Notation };
  /** Prefix of a value, by type. */
  readonly before?: (type: Type) => GrammarSymbol[];
  /** Notation of nested objects and arrays; absent: the same. */
  readonly inner?: Notation;
  /** Properties are sorted by name. */
  readonly sorted?: boolean;
  /** Alternative notation. */
  readonly also?: Notation;
}

/** An object whose properties are elements, or arguments. */
export interface ObjectNotation {
  readonly open: GrammarSymbol[];
  readonly close: GrammarSymbol[];
  readonly separator: GrammarSymbol[];
  readonly beforeKey: GrammarSymbol[];
  /** Between a property's name and its value. */
  readonly afterKey: GrammarSymbol[];
  readonly afterValue: (name: string | undefined) => GrammarSymbol[];
  /** Notation of the value of a property; without a name: of an undescribed property. */
  readonly values: (name: string | undefined) => Notation;
}

const JSON_NOTATION: Notation = { name: "json", spelling: JSON_SPELLING };

/** How a schema is compiled. */
export interface CompileOptions {
  readonly notation?: Notation;
  /**
   * For generation, which might otherwise not terminate: objects with described properties, and arrays with positional
   * items, get no others unless the schema says so, and objects get them after all required ones.
   */
  readonly isClosed?: boolean;
  /** The schema of tool arguments: if it describes none, the tool takes none. */
  readonly isTool?: boolean;
  /**
   * Called for keywords that cannot be enforced, which are then ignored; absent: they are errors. The message names the
   * path within the schema; the keyword reveals nothing of the request.
   */
  readonly onUnenforced?: (message: string, keyword: string) => void;
}

/** Target of the rules, and location of the schema in the request, for messages. */
export interface SchemaOptions extends CompileOptions {
  readonly builder: GrammarBuilder;
  readonly path: string;
}

/**
 * Compile a schema.
 *
 * @param schema JSON Schema.
 * @param options Target of the rules, and location in the request.
 * @returns Symbols that match one value.
 * @throws {GrammarError} If it cannot be compiled; the message names the path within it.
 */
export function compileSchema(schema: unknown, options: SchemaOptions): GrammarSymbol[] {
  return finish(compileSchemaInPieces(schema, options));
}

/** The same, in pieces. */
export function* compileSchemaInPieces(schema: unknown, options: SchemaOptions): Work<GrammarSymbol[]> {
  const { builder, path, onUnenforced } = options;
  const at: Path = { key: path };
  let parts = 0;
  const count = (at: Path): void => {
    if (++parts > MAX_PARTS) throw new SchemaError(at, `makes the schema too large: it may have ${MAX_PARTS} parts`);
  };
  const passOver = (error: SchemaError): void => {
    if (onUnenforced === undefined || !(error instanceof UnenforceableError)) throw error;
    const { key } = error.at;
    onUnenforced(error.message, isKeyword(key) ? key : "schema");
  };
  try {
    if (!isObject(schema) && typeof schema !== "boolean") {
      throw new SchemaError(at, "must be a schema: an object, true or false");
    }
    builder.languages.begin();
    const nodes = new Nodes(schema, { at, languages: builder.languages, passOver, count });
    yield* nodes.explore();
    return new Writer(options, nodes).value(nodes.root, options.notation ?? JSON_NOTATION);
  } catch (error) {
    const isComplex = error instanceof LanguageError;
    if (!isComplex && !(error instanceof UnenforceableError)) throw error;
    passOver(isComplex ? new UnenforceableError(at, `is not supported: ${error.message}`) : error);
    // Only its type is left.
    return yield* compileSchemaInPieces(isObject(schema) && "type" in schema ? { type: schema.type } : true, options);
  }
}

/** Emits the rules of one schema. */
class Writer {
  readonly #builder: GrammarBuilder;
  readonly #nodes: Nodes;
  readonly #isClosed: boolean;
  readonly #isTool: boolean;
  readonly #rules = new Map<string, number>();
  readonly #objects = new Map<ObjectShape, Map<boolean, ObjectPlan>>();
  readonly #arrays = new Map<ArrayShape, ArrayPlan>();
  readonly #numbers = new Map<object, number>();
  constructor(options: CompileOptions & { readonly builder: GrammarBuilder }, nodes: Nodes) {
    const { builder, isClosed = false, isTool = false } = options;
    this.#builder = builder;
    this.#nodes = nodes;
    this.#isClosed = isClosed;
    this.#isTool = isTool;
  }

  /** Symbols that match one value. */
  value(node: Node, notation: Notation): GrammarSymbol[] {
    const { before, object, inner, also } = notation;
    const isPlain = before === undefined && object === undefined && inner === undefined && also === undefined;
    if (node.literals.length === 0 && isPlain && notation.array === undefined) return this.#values(notation).any;
    const shapes = node.literals.length === 0 ? this.#nodes.anything : node.shapes ?? [];
    return this.#shapes(shapes, { name: `${node.id}`, notation, isRoot: node === this.#nodes.root });
  }

  #shapes(
    shapes: readonly Shape[],
    { name, notation, isRoot }: { readonly name: string; readonly notation: Notation; readonly isRoot: boolean },
  ): GrammarSymbol[] {
    const rule = this.#rule(`${name} ${notation.name}`, () => {
      const { also, ...own } = notation;
      return also === undefined
        ? shapes.flatMap((shape) => this.#shape(shape, notation, isRoot))
        : [{ ...own, name: `${own.name} only` }, also].map((notation) =>
          this.#shapes(shapes, { name, notation, isRoot })
        );
    });
    return [{ rule }];
  }

  #rule(name: string, expand: () => Alternatives): number {
    return this.#rules.getOrInsertComputed(name, () => this.#builder.lazy(expand));
  }

  #values({ spelling }: Notation): JsonValues {
    return JsonValues.of(this.#builder, spelling);
  }

  #shape(shape: Shape, notation: Notation, isRoot: boolean): GrammarSymbol[][] {
    const values = this.#values(notation);
    const prefix = (type: Type): GrammarSymbol[] => notation.before?.(type) ?? [];
    switch (shape.type) {
      case "null":
        return [[...prefix("null"), ...values.word(null)]];
      case "boolean":
        return shape.values.map((value) => [...prefix("boolean"), ...values.word(value)]);
      case "number":
        return [[...prefix(shape.isInteger ? "integer" : "number"), ...this.#builder.language(shape.language)]];
      case "string":
        return [[...prefix("string"), ...values.string(shape.language, shape)]];
      case "array":
      case "object": {
        const write = (notation: Notation): GrammarSymbol[] =>
          shape.type === "array" ? this.#array(shape, notation) : this.#object(shape, notation, isRoot);
        return this.#composites(notation).map((notation) => [...prefix(shape.type), ...write(notation)]);
      }
    }
  }

  /** The notations of nested objects and arrays, where they differ. */
  #composites(notation: Notation): Notation[] {
    if (notation.inner === undefined) return [notation];
    const { also, ...own } = notation.inner;
    return also === undefined ? [own] : [{ ...own, name: `${own.name} only` }, also];
  }

  #object(shape: ObjectShape, notation: Notation, isRoot: boolean): GrammarSymbol[] {
    const plan = this.#planOf(shape, isRoot, notation);
    const { open, close } = notation.object ?? { open: this.#builder.text("{"), close: this.#builder.text("}") };
    return [...open, { rule: this.#properties(shape, plan, { state: plan.start, isFirst: true, notation }) }, ...close];
  }

  #planOf(shape: ObjectShape, isRoot: boolean, { sorted = false }: Notation): ObjectPlan {
    return this.#objects.getOrInsertComputed(shape, () => new Map()).getOrInsertComputed(sorted, () => {
      // A schema without properties allows any, except for a tool without arguments.
      const isClosed = this.#isClosed && (this.#isTool && isRoot || shape.isNamed || shape.entries.length > 0);
      return new ObjectPlan(shape, { isClosed, isSorted: sorted });
    });
  }

  #properties(
    shape: ObjectShape,
    plan: ObjectPlan,
    { state, isFirst, notation }: {
      readonly state: ObjectState;
      readonly isFirst: boolean;
      readonly notation: Notation;
    },
  ): number {
    const name = `${this.#number(shape)} ${notation.name} ${isFirst} ${plan.key(state)}`;
    return this.#rule(name, () => {
      const separator = isFirst ? [] : notation.object?.separator ?? this.#values(notation).comma;
      const alternatives = plan.steps(state).flatMap((step) => {
        const entry = this.#entry(shape, step, notation);
        if (entry === undefined) return [];
        const rest = this.#properties(shape, plan, { state: step.next, isFirst: false, notation });
        return [[...separator, ...entry, { rule: rest }]];
      });
      return plan.endsAt(state) ? [...alternatives, []] : alternatives;
    });
  }

  #entry(shape: ObjectShape, { entry, option }: ObjectStep, notation: Notation): GrammarSymbol[] | undefined {
    const values = this.#values(notation);
    const { object } = notation;
    if (entry === undefined && "names" in option && !values.hasNames(option.names)) return undefined;
    const what = entry === undefined && "names" in option ? `others ${option.names.id}` : entry?.name;
    const rule = this.#rule(`${this.#number(shape)} ${notation.name} ${option.node.id} of ${what}`, () => {
      const key = entry === undefined && "names" in option
        ? values.names(option.names)
        : values.name(entry?.name ?? "");
      if (object === undefined) return [[...key, ...values.colon, ...this.value(option.node, notation)]];
      return [[
        ...object.beforeKey,
        ...key,
        ...object.afterKey,
        ...this.value(option.node, object.values(entry?.name)),
        ...object.afterValue(entry?.name),
      ]];
    });
    return [{ rule }];
  }

  #array(shape: ArrayShape, notation: Notation): GrammarSymbol[] {
    const items = this.#items(shape, notation);
    if (notation.array !== undefined) return items;
    return [...this.#builder.text("["), ...items, ...this.#builder.text("]")];
  }

  #items(shape: ArrayShape, notation: Notation): GrammarSymbol[] {
    if (shape.unique !== undefined) {
      const finite = FiniteItems.of(shape, this.#builder.languages);
      if (finite !== undefined) return [{ rule: this.#distinct(finite, notation, { used: [], count: 0 }) }];
    }
    const plan = this.#arrays.getOrInsertComputed(shape, () => new ArrayPlan(shape, this.#isClosed));
    return [{ rule: this.#itemsFrom(shape, plan, { state: plan.start, isFirst: true, notation }) }];
  }

  #itemsFrom(
    shape: ArrayShape,
    plan: ArrayPlan,
    { state, isFirst, notation }: {
      readonly state: ArrayState;
      readonly isFirst: boolean;
      readonly notation: Notation;
    },
  ): number {
    const name = `${this.#number(shape)} ${notation.name} ${isFirst} ${state.index} ${state.counts.join()}`;
    return this.#rule(name, () => {
      const alternatives: GrammarSymbol[][] = plan.steps(state).map(({ option, next }) => [
        ...this.#item((notation) => this.value(option.node, notation), notation, isFirst),
        { rule: this.#itemsFrom(shape, plan, { state: next, isFirst: false, notation }) },
      ]);
      return plan.endsAt(state) ? [...alternatives, []] : alternatives;
    });
  }

  #item(value: (notation: Notation) => GrammarSymbol[], notation: Notation, isFirst: boolean): GrammarSymbol[] {
    const { array } = notation;
    if (array !== undefined) return [...array.open, ...value(array.items), ...array.close];
    return [...isFirst ? [] : this.#values(notation).comma, ...value(notation)];
  }

  /** An array of unique values from a finite set. */
  #distinct(
    items: FiniteItems,
    notation: Notation,
    { used, count }: { readonly used: readonly number[]; readonly count: number },
  ): number {
    const name = `${this.#number(items)} ${notation.name} ${used.join()}`;
    return this.#rule(name, () => {
      const alternatives: GrammarSymbol[][] = items.left(used).map(({ value, index }) => [
        ...this.#item(
          (notation) =>
            this.#shapes([value], { name: `${this.#number(items)} value ${index}`, notation, isRoot: false }),
          notation,
          count === 0,
        ),
        {
          rule: this.#distinct(items, notation, { used: [...used, index].sort((a, b) => a - b), count: count + 1 }),
        },
      ]);
      return items.endsAt(count) ? [...alternatives, []] : alternatives;
    });
  }

  #number(of: object): number {
    return this.#numbers.getOrInsert(of, this.#numbers.size);
  }
}
