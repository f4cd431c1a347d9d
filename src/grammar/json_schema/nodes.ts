/**
 * The schema as a graph of values: a node for each conjunction of schemas that one value must satisfy, with its
 * possible shapes, whose parts are nodes again. Decides which nodes are satisfiable.
 */
import { type Language, LanguageError, type Languages } from "../language/language.ts";
import { finish, type Work } from "../../work/work.ts";
import { ArrayPlan } from "./array_plan.ts";
import { type Demand, NOTHING } from "../keywords/demand.ts";
import { ALWAYS, type Literal, NEVER, SchemaDocument } from "../keywords/document.ts";
import { FiniteItems } from "./finite_items.ts";
import { Demands, type PassOver } from "../keywords/meaning.ts";
import { ObjectPlan } from "./object_plan.ts";
import { type Path, SchemaError, show, UnenforceableError } from "../keywords/schema_path.ts";
import { type Node, type Shape, type ShapeContext, shapesOf } from "./shapes.ts";

/** Maximum nesting of distinct schemas. */
const MAX_DEPTH = 64;
/** Depth of the search for common values of two schemas. */
const MAX_LOOKS = 3;

/** The nodes of one schema. */
export class Nodes implements ShapeContext {
  readonly languages: Languages;
  readonly root: Node;
  readonly #document: SchemaDocument;
  readonly #demands: Demands;
  readonly #passOver: PassOver;
  readonly #known = new Map<string, Node>();
  readonly #depths = new Map<Node, number>();
  readonly #voids = new Map<Node, boolean>();
  #expanding: Node | undefined;
  #anything: readonly Shape[] | undefined;

  constructor(
    schema: unknown,
    { at, languages, passOver, count }: {
      readonly at: Path;
      readonly languages: Languages;
      readonly passOver: PassOver;
      readonly count: (at: Path) => void;
    },
  ) {
    this.languages = languages;
    this.#passOver = passOver;
    this.#document = new SchemaDocument(schema, at, count);
    this.#demands = new Demands(this.#document, {
      languages,
      passOver,
      isPossible: (demand, at) => this.#isPossible(demand, at, 0),
      stringsOf: (literal) => this.stringsOf(literal),
    });
    this.root = this.node([this.#demands.literal(this.#document.root)]);
  }

  node(literals: readonly Literal[]): Node {
    const all = [...new Set(literals)].filter((literal) => literal !== ALWAYS);
    const isVoid = all.includes(NEVER) || all.some((literal) => (literal & 1) === 1 && all.includes(literal ^ 1));
    const left = isVoid ? [NEVER] : all;
    const key = left.length === 1 ? `${left[0]}` : left.toSorted((a, b) => a - b).join();
    let node = this.#known.get(key);
    if (node === undefined) {
      const [first] = left;
      const at = first === undefined ? this.#document.root.at : this.#document.part(first).at;
      node = {
        id: this.#known.size,
        literals: left,
        at,
        shapes: undefined,
        isPossible: left.length === 0,
        conflict: undefined,
      };
      this.#known.set(key, node);
      const depth = this.#expanding === undefined ? 0 : (this.#depths.get(this.#expanding) ?? 0) + 1;
      this.#depths.set(node, depth);
    }
    return node;
  }

  /**
   * Build all nodes, and decide which are satisfiable.
   *
   * @throws {SchemaError} If one is not supported, or the schema is unsatisfiable.
   */
  *explore(): Work<void> {
    const all = new Set([this.root]);
    for (const node of all) {
      if ((this.#depths.get(node) ?? 0) > MAX_DEPTH) {
        throw new UnenforceableError(node.at, `nests schemas more than ${MAX_DEPTH} deep`);
      }
      for (const shape of yield* this.#expand(node)) for (const part of partsOf(shape)) all.add(part);
      yield;
    }
    // Bottom up, repeated until nothing changes, because nodes may be recursive.
    const { languages } = this;
    // Satisfiability is monotonic.
    const possible = new Set<Shape>();
    const canBe = (shape: Shape): boolean => {
      if (possible.has(shape)) return true;
      const is = isPossible(shape, languages);
      if (is) possible.add(shape);
      return is;
    };
    const open = [...all].reverse();
    let [left, before] = [open.length, Infinity];
    while (left < before) {
      before = left;
      for (const node of open) {
        if (!node.isPossible && this.shapes(node).some(canBe)) {
          node.isPossible = true;
          left--;
        }
        yield;
      }
    }
    if (!this.root.isPossible) throw this.#complaint();
    for (const node of all) {
      node.shapes = node.shapes?.filter(canBe);
      yield;
    }
    for (const node of all) {
      this.#refuseUnique(node);
      yield;
    }
  }

  /** The node of arbitrary values. */
  get anything(): readonly Shape[] {
    return this.#anything ??= finish(shapesOf(NOTHING, this, this.root.at));
  }

  /** Uniqueness can be enforced only for finitely many values. */
  #refuseUnique({ shapes = [] }: Node): void {
    for (const shape of shapes) {
      if (shape.type !== "array" || shape.unique === undefined || FiniteItems.of(shape, this.languages) !== undefined) {
        continue;
      }
      this.#passOver(
        new UnenforceableError(shape.unique, "is supported only where the items are told one by one"),
      );
    }
  }

  /** The shapes of a node, including unsatisfiable ones. */
  shapes(node: Node): readonly Shape[] {
    return node.shapes ?? finish(this.#expand(node));
  }

  *#expand(node: Node): Work<readonly Shape[]> {
    if (node.shapes !== undefined) return node.shapes;
    if (node.literals.length === 0) return node.shapes = [];
    const around = this.#expanding;
    this.#expanding = node;
    try {
      const shapes: Shape[] = [];
      for (const demand of yield* this.#demandsOf(node)) {
        shapes.push(...yield* this.#shapesOf(demand, node.at));
        yield;
      }
      node.shapes = merged(shapes, this.languages);
      if (node.shapes.length === 0) node.conflict = this.#demands.conflict ?? node.at;
    } finally {
      this.#expanding = around;
    }
    return node.shapes;
  }

  *#demandsOf(node: Node): Work<Demand[]> {
    if (node.literals[0] === NEVER) return [];
    try {
      return yield* this.#demands.of(node.literals, node.at);
    } catch (error) {
      this.#passOver(known(error, node.at));
      return yield* this.#demands.of([], node.at);
    }
  }

  *#shapesOf(demand: Demand, at: Path): Work<Shape[]> {
    try {
      return yield* shapesOf(demand, this, at);
    } catch (error) {
      this.#passOver(known(error, at));
      return yield* shapesOf(simplified(demand), this, at);
    }
  }

  stringsOf(literal: Literal): Language {
    const l = this.languages;
    const node = this.node([literal]);
    if (node.literals.length === 0) return l.any;
    const all = this.shapes(node).flatMap((shape): Language[] => {
      if (shape.type !== "string") return [];
      const { language, least, most } = shape;
      if (least === 0 && most === Infinity) return [language];
      return [l.and(language, l.repeat(l.chars([0, 0x10ffff]), least, most))];
    });
    return l.or(...all);
  }

  /** Whether a demand may be satisfiable, to a limited depth; true if unknown. */
  *#isPossible(demand: Demand, at: Path, depth: number): Work<boolean> {
    const shapes = yield* shapesOf(demand, this, at);
    yield;
    return shapes.some((shape) => !this.#isShapeVoid(shape, depth));
  }

  #isShapeVoid(shape: Shape, depth: number): boolean {
    if (depth > MAX_LOOKS) return false;
    if (shape.type === "object") {
      return shape.entries.some(({ isRequired, options }) =>
        isRequired && options.every(({ node }) => this.#isVoid(node, depth + 1))
      );
    }
    if (shape.type !== "array") return false;
    return shape.places.slice(0, shape.least).some((options) =>
      options.every(({ node }) => this.#isVoid(node, depth + 1))
    );
  }

  #isVoid(node: Node, depth: number): boolean {
    if (node.literals.length === 0) return false;
    const known = this.#voids.get(node);
    if (known !== undefined) return known;
    // Not while it is being computed.
    this.#voids.set(node, false);
    const isVoid = this.shapes(node).every((shape) => this.#isShapeVoid(shape, depth));
    this.#voids.set(node, isVoid);
    return isVoid;
  }

  #complaint(): SchemaError {
    let node = this.root;
    const seen = new Set<Node>();
    while (!seen.has(node)) {
      seen.add(node);
      const { at, conflict } = node;
      if (conflict !== undefined) {
        return new SchemaError(
          at,
          `allows no value${conflict === at ? "" : `: "${show(conflict)}" excludes the rest`}`,
        );
      }
      const needed = this.shapes(node).flatMap(neededBy).find((part) => !part.isPossible);
      if (needed === undefined) return new SchemaError(at, "allows no value");
      node = needed;
    }
    return new SchemaError(node.at, "must contain itself without end");
  }
}

function known(error: unknown, at: Path): SchemaError {
  if (error instanceof SchemaError) return error;
  if (error instanceof LanguageError) return new UnenforceableError(at, `is not supported: ${error.message}`);
  throw error;
}

/** The demand without constraints that are not always supported. */
function simplified(demand: Demand): Demand {
  return {
    ...demand,
    string: { ...demand.string, texts: [] },
    number: { ...demand.number, notMultipleOf: [], not: [] },
    array: { ...demand.array, counted: [], unique: undefined },
    object: {
      ...demand.object,
      properties: demand.object.properties.map((each) =>
        each.patterns.length === 0 ? each : { ...each, patterns: [], others: ALWAYS }
      ),
      some: [],
      names: [],
      least: 0,
    },
  };
}

function partsOf(shape: Shape): Node[] {
  switch (shape.type) {
    case "object":
      return [...shape.entries.flatMap(({ options }) => options), ...shape.others].map(({ node }) => node);
    case "array":
      return shape.places.flat().map(({ node }) => node);
    default:
      return [];
  }
}

/** The nodes that a shape requires. */
function neededBy(shape: Shape): Node[] {
  switch (shape.type) {
    case "object":
      return shape.entries.filter(({ isRequired }) => isRequired).flatMap(({ options }) =>
        options.map(({ node }) => node)
      );
    case "array":
      return shape.places.slice(0, Math.max(1, shape.least)).flatMap((options) => options.map(({ node }) => node));
    default:
      return [];
  }
}

function isPossible(shape: Shape, languages: Languages): boolean {
  switch (shape.type) {
    case "object":
      return new ObjectPlan(shape).isPossible;
    case "array":
      return new ArrayPlan(shape).isPossible && (FiniteItems.of(shape, languages)?.count ?? Infinity) >= shape.least;
    default:
      return true;
  }
}

/** Merge shapes where one covers the others. */
function merged(shapes: readonly Shape[], languages: Languages): Shape[] {
  if (shapes.length < 2) return [...shapes];
  const found = new Map<string, Shape>();
  for (const shape of shapes) {
    const key = keyOf(shape);
    const known = found.get(key);
    if (known === undefined) found.set(key, shape);
    else if (known.type === "boolean" && shape.type === "boolean") {
      found.set(key, { type: "boolean", values: [...new Set([...known.values, ...shape.values])] });
    } else if (
      known.type === "number" && shape.type === "number" || known.type === "string" && shape.type === "string"
    ) {
      found.set(key, { ...known, language: languages.or(known.language, shape.language) });
    }
  }
  return [...found.values()];
}

function keyOf(shape: Shape): string {
  switch (shape.type) {
    case "null":
    case "boolean":
      return shape.type;
    case "number":
      return `number ${shape.isInteger}`;
    case "string":
      return `string ${shape.least} ${shape.most}`;
    case "array": {
      const { places, counted, least, most, unique, isOpen } = shape;
      const parts = places.map((options) => options.map(({ node, counts }) => [node.id, counts]));
      return JSON.stringify(["array", parts, counted, least, most, unique !== undefined, isOpen]);
    }
    case "object": {
      const { entries, others, some, clauses, least, most, isOpen } = shape;
      const told = entries.map(({ name, isRequired, options }) => [
        name,
        isRequired,
        options.map(({ node, counts }) => [node.id, counts]),
      ]);
      const more = others.map(({ names, node, counts }) => [names.id, node.id, counts]);
      return JSON.stringify(["object", told, more, some, clauses, least, most, isOpen]);
    }
  }
}
