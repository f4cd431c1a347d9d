/** Keywords about types, enumerated values, strings and numbers. */
import { LanguageError } from "../language/language.ts";
import { languageOf } from "../language/pattern.ts";
import {
  ARRAY,
  bitOf,
  bitsOf,
  type Demand,
  longer,
  NULL,
  NUMBER,
  type NumberDemand,
  OBJECT,
  only,
  STRING,
  withNumber,
  withString,
} from "./demand.ts";
import { formatTexts } from "./formats.ts";
import { count, type Keyword, type Outcome, type Use, withLiteral } from "./keyword.ts";
import { own, readNumber, readText, readTypes } from "./read.ts";
import { child, SchemaError, UnenforceableError } from "./schema_path.ts";

const type: Keyword = {
  types: 0,
  assert: ({ value, at }, demand) => {
    const types = readTypes(value, at);
    if (types.length === 0) return undefined;
    const left = only(demand, bitsOf(types));
    if (left === undefined || types.includes("number") || !types.includes("integer")) return left;
    return withNumber(left, () => ({ integer: true }));
  },
  deny: ({ value, at }) => {
    const types = readTypes(value, at);
    const others = (demand: Demand): Outcome => only(demand, ~bitsOf(types));
    if (!types.includes("integer") || types.includes("number")) return [others];
    return [others, (demand) => {
      const numbers = only(demand, NUMBER);
      return numbers === undefined ? undefined : withNumber(numbers, () => ({ fraction: true }));
    }];
  },
};

/** Enumerated values: scalars together, arrays and objects individually. */
function oneOf(values: readonly unknown[], use: Use, demand: Demand): Outcome {
  const { meaning, at } = use;
  const fitting = values.filter((value) => (bitOf(value) & demand.types) !== 0);
  const places = new Map(values.map((value, index) => [value, use.name === "const" ? at : child(at, index)]));
  const scalars = fitting.filter((value) => (bitOf(value) & (ARRAY | OBJECT)) === 0);
  const outcomes: Demand[] = [];
  if (scalars.length > 0) {
    const numbers = scalars.filter((value) => typeof value === "number");
    const texts = scalars.filter((value) => typeof value === "string");
    for (const value of texts) {
      if (!value.isWellFormed()) {
        throw new SchemaError(places.get(value) ?? at, "has half of a surrogate pair");
      }
    }
    const booleans = (scalars.includes(false) ? 1 : 0) | (scalars.includes(true) ? 2 : 0);
    let left = only(demand, scalars.reduce<number>((bits, value) => bits | bitOf(value), 0)) as Demand;
    left = { ...left, booleans: left.booleans & booleans };
    left = withNumber(left, (number) => ({
      values: number.values === undefined ? numbers : numbers.filter(within(number.values)),
    }));
    if (texts.length > 0) {
      const language = meaning.languages.words(texts);
      left = withString(left, (string) => ({ texts: [...string.texts, { language, at }] }));
    }
    outcomes.push(left);
  }
  for (const value of fitting) {
    if (typeof value !== "object" || value === null) continue;
    const literal = meaning.document.valueLiteral(value, places.get(value) ?? at);
    const left = withLiteral(demand, literal, use);
    if (left !== undefined) outcomes.push(left);
  }
  return outcomes.length === 1 ? outcomes[0] : outcomes;
}

function within(values: readonly number[]): (value: number) => boolean {
  const known = new Set(values);
  return (value) => known.has(value);
}

function noneOf(values: readonly unknown[], use: Use, demand: Demand): Outcome {
  const { meaning, at } = use;
  const fitting = values.filter((value) => (bitOf(value) & demand.types) !== 0);
  const numbers = fitting.filter((value) => typeof value === "number");
  const texts = fitting.filter((value) => typeof value === "string");
  let left = demand;
  if (fitting.includes(null)) {
    const others = only(left, ~NULL);
    if (others === undefined) return undefined;
    left = others;
  }
  left = { ...left, booleans: left.booleans & ~((fitting.includes(false) ? 1 : 0) | (fitting.includes(true) ? 2 : 0)) };
  if (numbers.length > 0) left = withNumber(left, ({ not }) => ({ not: [...not, ...numbers] }));
  if (texts.length > 0) {
    const language = meaning.languages.not(meaning.languages.words(texts));
    left = withString(left, (string) => ({ texts: [...string.texts, { language, at }] }));
  }
  for (const [index, value] of fitting.entries()) {
    if (typeof value !== "object" || value === null) continue;
    const literal = meaning.document.valueLiteral(value, use.name === "const" ? at : child(at, index));
    left = withLiteral(left, literal ^ 1, use) ?? left;
  }
  return left;
}

function readValues({ name, value, at }: Use): readonly unknown[] {
  if (name === "const") return [value];
  if (!Array.isArray(value) || value.length === 0) throw new SchemaError(at, "must list values");
  return value;
}

const values: Keyword = {
  types: 0,
  assert: (use, demand) => oneOf(readValues(use), use, demand),
  deny: (use) => {
    const all = readValues(use);
    return [(demand) => noneOf(all, use, demand)];
  },
};

function atLeast(number: NumberDemand, value: number, above: boolean): Partial<NumberDemand> {
  if (value < number.least || value === number.least && number.above) return {};
  return { least: value, above };
}

function atMost(number: NumberDemand, value: number, below: boolean): Partial<NumberDemand> {
  if (value > number.most || value === number.most && number.below) return {};
  return { most: value, below };
}

/** A bound, and whether it is exclusive; draft 4 has a separate keyword for that. */
function bound(
  isLeast: boolean,
  read: (use: Use) => { readonly value: number; readonly open: boolean } | undefined,
): Keyword {
  return {
    types: NUMBER,
    assert: (use, demand) => {
      const limit = read(use);
      if (limit === undefined) return demand;
      const cut = isLeast ? atLeast : atMost;
      return withNumber(demand, (number) => cut(number, limit.value, limit.open));
    },
    deny: (use) => {
      const limit = read(use);
      if (limit === undefined) return [];
      const cut = isLeast ? atMost : atLeast;
      return [(demand) => withNumber(demand, (number) => cut(number, limit.value, !limit.open))];
    },
  };
}

function inclusive(flag: string): (use: Use) => { value: number; open: boolean } {
  return ({ value, at, schema }) => ({ value: readNumber(value, at), open: own(schema, flag) === true });
}

function exclusive({ value, at }: Use): { value: number; open: boolean } | undefined {
  return typeof value === "boolean" ? undefined : { value: readNumber(value, at), open: true };
}

function readStep({ value, at }: Use): number {
  const step = readNumber(value, at);
  if (!(step > 0)) throw new SchemaError(at, "must be above 0");
  return step;
}

const multipleOf: Keyword = {
  types: NUMBER,
  assert: (use, demand) => {
    const step = readStep(use);
    return withNumber(demand, (number) => ({ multipleOf: [...number.multipleOf, step] }));
  },
  deny: (use) => {
    const step = readStep(use);
    return [(demand) => withNumber(demand, (number) => ({ notMultipleOf: [...number.notMultipleOf, step] }))];
  },
};

/** The language of a pattern or format; `undefined` if the format is only an annotation. */
function textsOf({ name, value, at, meaning }: Use): ReturnType<typeof formatTexts> {
  const text = readText(value, at);
  if (name === "format") return formatTexts(text, meaning.languages);
  try {
    return { language: languageOf(text, meaning.languages), most: Infinity };
  } catch (error) {
    if (!(error instanceof LanguageError)) throw error;
    throw new UnenforceableError(at, `is not supported: ${error.message}`);
  }
}

const texts: Keyword = {
  types: STRING,
  assert: (use, demand) => {
    // Applies to strings only, like `pattern`; a format of numbers is an annotation.
    const found = textsOf(use);
    if (found === undefined) return demand;
    return withString(demand, (string) => ({
      texts: [...string.texts, { language: found.language, at: use.at }],
      most: Math.min(string.most, found.most),
    }));
  },
  deny: (use) => {
    const found = textsOf(use);
    if (found === undefined) return [];
    const others = use.meaning.languages.not(found.language);
    return [
      (demand) => withString(demand, (string) => ({ texts: [...string.texts, { language: others, at: use.at }] })),
      ...found.most === Infinity ? [] : [(demand: Demand) => longer(demand, "string", found.most + 1)],
    ];
  },
};

export const SCALAR_KEYWORDS: Readonly<Record<string, Keyword>> = {
  type,
  enum: values,
  const: values,
  minimum: bound(true, inclusive("exclusiveMinimum")),
  maximum: bound(false, inclusive("exclusiveMaximum")),
  exclusiveMinimum: bound(true, exclusive),
  exclusiveMaximum: bound(false, exclusive),
  multipleOf,
  minLength: count("string", true),
  maxLength: count("string", false),
  pattern: texts,
  format: texts,
};
