/** The shape of values of one type, with all constraints merged: what nodes consist of and rules are made from. */
import { ALL_CHARS } from "../language/chars.ts";
import { isSimple, type Language, LanguageError, type Languages } from "../language/language.ts";
import { languageOf } from "../language/pattern.ts";
import type { Work } from "../../work/work.ts";
import {
  ARRAY,
  type ArrayDemand,
  BOOLEAN,
  type Clause,
  type Demand,
  NULL,
  NUMBER,
  type NumberDemand,
  OBJECT,
  type ObjectDemand,
  type Properties,
  STRING,
  type StringDemand,
} from "../keywords/demand.ts";
import { type Literal, NEVER } from "../keywords/document.ts";
import { anyNumber, isWithin, numbersWithin, spellingsOf } from "./json_numbers.ts";
import { child, type Path, SchemaError, UnenforceableError } from "../keywords/schema_path.ts";

/** Above this minimum length, lengths are not computed for each state. */
const LEAST_FOLLOWED = 64;

/** A conjunction of demands; equal conjunctions share a node. */
export interface Node {
  readonly id: number;
  /** In reading order. */
  readonly literals: readonly Literal[];
  readonly at: Path;
  /** Its possible shapes, once computed. */
  shapes: readonly Shape[] | undefined;
  /** Whether it is satisfiable. */
  isPossible: boolean;
  /** The conflict, if it is not. */
  conflict: Path | undefined;
}

export type Shape = ScalarShape | ObjectShape | ArrayShape;
export type ScalarShape =
  | { readonly type: "null" }
  | { readonly type: "boolean"; readonly values: readonly boolean[] }
  | { readonly type: "number"; readonly isInteger: boolean; readonly language: Language }
  | { readonly type: "string"; readonly language: Language; readonly least: number; readonly most: number };

/** A possible value, and the counters it matches. */
export interface Option {
  readonly node: Node;
  readonly counts: readonly number[];
}

/** A named property. */
export interface Entry {
  readonly name: string;
  readonly isRequired: boolean;
  readonly options: readonly Option[];
}

/** Additional properties. */
export interface Others extends Option {
  readonly names: Language;
}

export interface ObjectShape {
  readonly type: "object";
  readonly entries: readonly Entry[];
  /** Required names, in the order of the keywords. */
  readonly required: readonly string[];
  /** Whether a single keyword requires them all. */
  readonly isListedOnce: boolean;
  readonly others: readonly Others[];
  /** Number of required kinds of properties; options match them. */
  readonly some: number;
  readonly clauses: readonly Clause[];
  readonly least: number;
  readonly most: number;
  /** Whether additional properties are described. */
  readonly isOpen: boolean;
  /** Whether any properties are named. */
  readonly isNamed: boolean;
}

/** Bounds of a counter of items. */
export interface Counted {
  readonly least: number;
  readonly most: number;
}

export interface ArrayShape {
  readonly type: "array";
  /** Items by index; the last applies to all further ones. */
  readonly places: readonly (readonly Option[])[];
  readonly counted: readonly Counted[];
  readonly least: number;
  readonly most: number;
  readonly unique: Path | undefined;
  /** Whether items beyond the positional ones are described. */
  readonly isOpen: boolean;
}

/** Context for building shapes. */
export interface ShapeContext {
  readonly languages: Languages;
  /** The node of some literals. */
  node(literals: readonly Literal[]): Node;
  stringsOf(literal: Literal): Language;
}

/** Maximum combinations of patterns that names are distinguished by. */
const MAX_KINDS = 64;
/** Maximum number of counters. */
const MAX_COUNTED = 4;
/** An integer, in any notation. */
const WHOLE = "^-?\\d+(?:\\.0+)?$";

/**
 * The shapes of a completely read demand.
 *
 * @returns None if it is unsatisfiable.
 * @throws {SchemaError} If it is not supported.
 */
export function* shapesOf(demand: Demand, context: ShapeContext, at: Path): Work<Shape[]> {
  const { types, booleans } = demand;
  const shapes: Shape[] = [];
  const add = (bit: number, make: () => Shape | undefined): void => {
    const shape = (types & bit) === 0 ? undefined : make();
    if (shape !== undefined) shapes.push(shape);
  };
  yield* lookAhead(demand, context);
  if ((types & OBJECT) !== 0) {
    const object = yield* objectShape(demand.object, context, at);
    if (object !== undefined) shapes.push(object);
  }
  add(ARRAY, () => arrayShape(demand.array, context, at));
  const string = (types & STRING) === 0 ? undefined : yield* stringShape(demand.string, context);
  if (string !== undefined) shapes.push(string);
  add(NUMBER, () => numberShape(demand.number, context));
  add(BOOLEAN, () => {
    const values = [true, false].filter((value) => (booleans & (value ? 2 : 1)) !== 0);
    return values.length === 0 ? undefined : { type: "boolean", values };
  });
  add(NULL, () => ({ type: "null" }));
  return shapes;
}

/** Precompute the languages that shapes need, in slices. */
function* lookAhead({ types, number }: Demand, { languages }: ShapeContext): Work<void> {
  if ((types & NUMBER) !== 0 && number.values === undefined && !(number.integer && number.fraction)) {
    yield* languages.lookFor(numbersOf(number, languages));
  }
}

function textsOf({ texts }: StringDemand, languages: Languages): Language {
  return languages.and(...texts.map(({ language }) => language));
}

function* stringShape(string: StringDemand, { languages }: ShapeContext): Work<ScalarShape | undefined> {
  const { texts, least, most } = string;
  if (least > most) return undefined;
  try {
    const language = textsOf(string, languages);
    const isBounded = least > 0 || most < Infinity;
    if (!isSimple(language) || isBounded && languages.lengths(language) === undefined) yield* languages.walk(language);
    const bounded = yield* boundedTexts(language, { least, most }, languages);
    if (bounded !== undefined && !isSimple(bounded.language)) yield* languages.explore(bounded.language);
    return bounded && { type: "string", ...bounded };
  } catch (error) {
    const last = texts.at(-1);
    if (!(error instanceof Error) || last === undefined) throw error;
    throw new UnenforceableError(last.at, `is not supported: ${error.message}`);
  }
}

/**
 * The strings of a language within length bounds.
 *
 * @returns `undefined` if there are none.
 */
function* boundedTexts(
  language: Language,
  { least, most }: { readonly least: number; readonly most: number },
  languages: Languages,
): Work<{ readonly language: Language; readonly least: number; readonly most: number } | undefined> {
  try {
    yield* languages.lookFor(language);
    return languages.hasLength(language, least, most) ? { language, least, most } : undefined;
  } catch (error) {
    if (!(error instanceof LanguageError) || least > LEAST_FOLLOWED) throw error;
    // Too many states for length tables; the length is intersected as another language.
    const texts = languages.and(language, languages.repeat(languages.chars(ALL_CHARS), least, most));
    if (!isSimple(texts)) throw error;
    yield* languages.lookFor(texts);
    return languages.isEmpty(texts) ? undefined : { language: texts, least: 0, most: Infinity };
  }
}

function numberShape(number: NumberDemand, { languages: l }: ShapeContext): ScalarShape | undefined {
  const { integer, fraction, values, not, notMultipleOf } = number;
  if (integer && fraction) return undefined;
  const isExcluded = (value: number): boolean =>
    not.includes(value) || fraction && Number.isInteger(value) ||
    notMultipleOf.some((step) => isWithin(value, { multipleOf: [step] }));
  if (values !== undefined) {
    const left = values.filter((value) => isWithin(value, number) && !isExcluded(value));
    if (left.length === 0) return undefined;
    const language = l.words(left.map((value) => JSON.stringify(value)));
    return { type: "number", isInteger: left.every(Number.isInteger), language };
  }
  const language = numbersOf(number, l);
  return l.isEmpty(language) ? undefined : { type: "number", isInteger: integer, language };
}

function numbersOf(number: NumberDemand, l: Languages): Language {
  const { integer, fraction, not, notMultipleOf, multipleOf, least, most } = number;
  const excluded = [
    ...not.map((value) => spellingsOf(value, l)),
    ...fraction ? [languageOf(WHOLE, l)] : [],
    ...notMultipleOf.map((step) => numbersWithin({ multipleOf: [step] }, l)),
  ];
  const isFree = !integer && multipleOf.length === 0 && least === -Infinity && most === Infinity;
  const all = isFree && excluded.length === 0 ? anyNumber(l) : numbersWithin(number, l);
  return l.and(all, ...excluded.map((each) => l.not(each)));
}

function* objectShape(object: ObjectDemand, context: ShapeContext, at: Path): Work<ObjectShape | undefined> {
  const { properties, more, some, clauses, least, most } = object;
  const { languages: l } = context;
  const required = new Set(object.required);
  const forbidden = new Set(object.forbidden);
  const names = l.and(...object.names.map((literal) => context.stringsOf(literal)));
  const told = new Set(properties.flatMap(({ named }) => [...named.keys()]));
  const isNamed = told.size > 0;
  for (const name of [...required, ...more.map(([name]) => name)]) told.add(name);
  for (const { present, absent } of clauses) for (const name of [...absent, ...present]) told.add(name);
  if (least > most || some.length > MAX_COUNTED) {
    if (least > most) return undefined;
    throw new UnenforceableError(at, "demands too many kinds of properties");
  }
  const entries: Entry[] = [];
  for (const name of told) {
    const literals = [
      ...properties.flatMap((each) => literalsOf(each, name, l)),
      ...more.flatMap(([other, literal]) => other === name ? [literal] : []),
    ];
    const options = forbidden.has(name) || !l.has(names, name) ? [] : optionsOf(
      literals,
      some.map(({ names, literal }) => l.has(names, name) ? literal : undefined),
      context,
    );
    if (options.length > 0) entries.push({ name, isRequired: required.has(name), options });
    else if (required.has(name)) return undefined;
  }
  const left = (): Language => l.and(names, l.not(l.words([...told, ...forbidden])));
  const others = (yield* kindsOf(left, properties, l, at)).flatMap(({ names, literals }) =>
    optionsOf(literals, some.map(({ literal }) => literal), context).flatMap(({ node, counts }): Others[] => {
      const own = l.and(names, ...counts.map((index) => some[index]?.names ?? l.none));
      return l.isEmpty(own) ? [] : [{ names: own, node, counts }];
    })
  );
  if (least > entries.length + 1 && others.length > 0) {
    throw new UnenforceableError(
      child(at, "minProperties"),
      "demands more than one property that is not told by its name",
    );
  }
  return {
    type: "object",
    entries,
    required: [...required],
    isListedOnce: object.lists < 2,
    others,
    some: some.length,
    clauses: clauses.filter(({ present, absent }) =>
      !present.some((name) => required.has(name)) && !absent.some((name) => forbidden.has(name))
    ),
    least,
    most,
    isOpen: properties.some(({ isOpen, patterns }) => isOpen || patterns.length > 0) || some.length > 0 ||
      object.names.length > 0,
    isNamed,
  };
}

/** What one schema says about a property. */
function literalsOf({ named, patterns, others }: Properties, name: string, languages: Languages): Literal[] {
  const own = named.get(name);
  const matched = patterns.filter(([language]) => languages.has(language, name)).map(([, literal]) => literal);
  return own === undefined && matched.length === 0 ? [others] : own === undefined ? matched : [own, ...matched];
}

/** Literals, and the counters that a value of them matches. */
interface Counts {
  readonly literals: readonly Literal[];
  readonly counts: readonly number[];
}

/**
 * A value with the counters it matches.
 *
 * @param extra Additional constraints per counter.
 */
function optionsOf(
  literals: readonly Literal[],
  extra: readonly (Literal | undefined)[],
  context: ShapeContext,
): Option[] {
  let all: Counts[] = [{ literals, counts: [] }];
  for (const [index, literal] of extra.entries()) {
    if (literal === undefined) continue;
    all = all.flatMap((each) => [each, { literals: [...each.literals, literal], counts: [...each.counts, index] }]);
  }
  return possible(all, context);
}

function possible(all: readonly Counts[], context: ShapeContext): Option[] {
  return all.flatMap(({ literals, counts }) => {
    const node = context.node(literals);
    return node.literals[0] === NEVER ? [] : [{ node, counts }];
  });
}

/** Additional names, grouped by the patterns they match. */
function* kindsOf(
  left: () => Language,
  properties: readonly Properties[],
  l: Languages,
  at: Path,
): Work<{ readonly names: Language; readonly literals: readonly Literal[] }[]> {
  const patterns = [...new Set(properties.flatMap(({ patterns }) => patterns.map(([language]) => language)))];
  const literalsWith = (matched: ReadonlySet<Language>): Literal[] =>
    properties.flatMap(({ patterns, others }) => {
      const own = patterns.filter(([language]) => matched.has(language)).map(([, literal]) => literal);
      return own.length > 0 ? own : [others];
    });
  if (patterns.length === 0 && literalsWith(new Set()).includes(NEVER)) return [];
  try {
    let kinds: { readonly names: Language; readonly matched: ReadonlySet<Language> }[] = [
      { names: left(), matched: new Set() },
    ];
    for (const pattern of patterns) {
      const split = kinds.flatMap(({ names, matched }) => [
        { names: l.and(names, l.not(pattern)), matched },
        { names: l.and(names, pattern), matched: new Set([...matched, pattern]) },
      ]);
      for (const { names, matched } of split) if (matched.size > 0) yield* l.lookFor(names);
      kinds = split.filter(({ names, matched }) => {
        // Forbidden names need not be distinguished unless a pattern may allow them.
        return names !== l.none && (matched.size === 0 || !l.isEmpty(names));
      });
      if (kinds.length > MAX_KINDS) throw new UnenforceableError(at, "has too many patterns of names that overlap");
    }
    const allowed = kinds.map(({ names, matched }) => ({ names, literals: literalsWith(matched) }))
      .filter(({ literals }) => !literals.includes(NEVER));
    for (const { names } of allowed) yield* l.lookFor(names);
    return allowed.filter(({ names }) => !l.isEmpty(names));
  } catch (error) {
    if (error instanceof SchemaError || !(error instanceof Error)) throw error;
    throw new UnenforceableError(at, `has patterns of names that are not supported: ${error.message}`);
  }
}

function arrayShape(array: ArrayDemand, context: ShapeContext, at: Path): ArrayShape | undefined {
  const { items, counted, least, unique } = array;
  if (counted.length > MAX_COUNTED) throw new UnenforceableError(at, "counts too many kinds of items");
  const told = Math.max(0, ...items.map(({ first }) => first.length), ...counted.map(({ from }) => from));
  const places: Option[][] = [];
  let most = array.most;
  for (let index = 0; index <= told && index < most; index++) {
    const literals = items.map(({ first, others }) => first[index] ?? others);
    let all: Counts[] = [{ literals, counts: [] }];
    for (const [kind, { literal, from, most }] of counted.entries()) {
      if (index < from) continue;
      all = all.flatMap(({ literals, counts }) => [
        { literals: [...literals, literal], counts: [...counts, kind] },
        // Without bounds, it does not matter whether it matches.
        { literals: most === Infinity ? literals : [...literals, literal ^ 1], counts },
      ]);
    }
    const options = possible(all, context);
    if (options.length === 0) most = index;
    else places.push(options);
  }
  if (least > most) return undefined;
  return {
    type: "array",
    places,
    counted: counted.map(({ least, most }) => ({ least, most })),
    least,
    most,
    unique: most > 1 ? unique : undefined,
    isOpen: items.some(({ isOpen }) => isOpen) || told === 0,
  };
}
