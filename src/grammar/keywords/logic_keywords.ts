/** Keywords that combine schemas, and references. */
import type { Demand } from "./demand.ts";
import type { Part } from "./document.ts";
import { type Keyword, negated, partOf, partsOf, type Use, withLiteral } from "./keyword.ts";
import type { Work } from "../../work/work.ts";
import { own, readSchemas, readText } from "./read.ts";

function listed(use: Use): Part[] {
  return partsOf(use, readSchemas(use.value, use.at).keys());
}

/** All of these, in order. */
function withAll(demand: Demand | undefined, literals: readonly number[], use: Use): Demand | undefined {
  return literals.reduceRight<Demand | undefined>(
    (all, literal) => all === undefined ? undefined : withLiteral(all, literal, use),
    demand,
  );
}

function ways(demand: Demand, all: readonly (readonly number[])[], use: Use): Demand[] {
  return all.flatMap((literals) => withAll(demand, literals, use) ?? []);
}

const allOf: Keyword = {
  types: 0,
  assert: (use, demand) => withAll(demand, listed(use).map((part) => use.meaning.literal(part)), use),
  deny: (use) =>
    listed(use).map((part) => (demand: Demand) => withLiteral(demand, negated(use.meaning.literal(part)), use)),
};

const anyOf: Keyword = {
  types: 0,
  assert: (use, demand) => ways(demand, listed(use).map((part) => [use.meaning.literal(part)]), use),
  deny: (use) => {
    const literals = listed(use).map((part) => negated(use.meaning.literal(part)));
    return [(demand) => withAll(demand, literals, use)];
  },
};

/** One, and none of the others. Those that are disjoint from it need not be excluded. */
const oneOf: Keyword = {
  types: 0,
  *ahead(use, demand): Work<void> {
    const parts = listed(use);
    for (const [index, part] of parts.entries()) {
      for (const other of parts.slice(index + 1)) yield* use.meaning.compare(part, other, demand);
    }
  },
  assert: (use, demand) => {
    const { meaning } = use;
    const parts = listed(use);
    const literals = parts.map((part) => meaning.literal(part));
    return parts.flatMap((part, index) => {
      const others = parts.flatMap((other, at) =>
        at === index || meaning.areApart(part, other, demand) ? [] : [negated(literals[at] as number)]
      );
      return withAll(demand, [literals[index] as number, ...others], use) ?? [];
    });
  },
  deny: (use) => {
    const literals = listed(use).map((part) => use.meaning.literal(part));
    return [
      (demand) => withAll(demand, literals.map(negated), use),
      ...literals.flatMap((one, index) =>
        literals.slice(0, index).map((other) => (demand: Demand) => withAll(demand, [other, one], use))
      ),
    ];
  },
};

const not: Keyword = {
  types: 0,
  assert: (use, demand) => withLiteral(demand, negated(use.meaning.literal(partOf(use))), use),
  deny: (use) => [(demand) => withLiteral(demand, use.meaning.literal(partOf(use)), use)],
};

function branches(use: Use): { readonly when: number; readonly then: number; readonly otherwise: number } {
  const { meaning, schema, part } = use;
  const literal = (name: string): number =>
    own(schema, name) === undefined ? 1 : meaning.literal(meaning.document.within(part, name));
  return { when: literal("if"), then: literal("then"), otherwise: literal("else") };
}

const ifThen: Keyword = {
  types: 0,
  assert: (use, demand) => {
    const { when, then, otherwise } = branches(use);
    if (then === otherwise) return withLiteral(demand, then, use);
    return ways(demand, [[when, then], [negated(when), otherwise]], use);
  },
  deny: (use) => {
    const { when, then, otherwise } = branches(use);
    return [[when, negated(then)], [negated(when), negated(otherwise)]].map((literals) => (demand: Demand) =>
      withAll(demand, literals, use)
    );
  },
};

/** Within one document, a dynamic reference resolves to the first anchor of its name. */
const reference: Keyword = {
  types: 0,
  assert: (use, demand) => withLiteral(demand, use.meaning.literal(target(use)), use),
  deny: (use) => [(demand) => withLiteral(demand, negated(use.meaning.literal(target(use))), use)],
};

function target({ meaning, value, at, part }: Use): Part {
  return meaning.document.resolve(readText(value, at), part, at);
}

export const LOGIC_KEYWORDS: Readonly<Record<string, Keyword>> = {
  allOf,
  anyOf,
  oneOf,
  not,
  if: ifThen,
  $ref: reference,
  $dynamicRef: reference,
  $recursiveRef: reference,
};
