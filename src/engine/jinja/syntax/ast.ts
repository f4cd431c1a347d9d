/** The tree of a template. Every node knows its line. */

export type Expression =
  & { readonly line: number }
  & (
    | { readonly kind: "constant"; readonly value: null | boolean | number | string }
    | { readonly kind: "float"; readonly value: number }
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "list" | "tuple" | "concat"; readonly items: readonly Expression[] }
    | { readonly kind: "dict"; readonly pairs: readonly (readonly [key: Expression, value: Expression])[] }
    | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
    | { readonly kind: "element"; readonly object: Expression; readonly key: Expression }
    | { readonly kind: "slice"; readonly object: Expression; readonly bounds: readonly (Expression | undefined)[] }
    | { readonly kind: "call"; readonly callee: Expression; readonly args: Arguments }
    | { readonly kind: "filter"; readonly value: Expression; readonly name: string; readonly args: Arguments }
    | { readonly kind: "test"; readonly value: Expression; readonly name: string; readonly args: Arguments }
    | { readonly kind: "unary"; readonly operator: "not" | "-" | "+"; readonly operand: Expression }
    | {
      readonly kind: "binary";
      readonly operator: "and" | "or" | "+" | "-" | "*" | "/" | "//" | "%" | "**";
      readonly left: Expression;
      readonly right: Expression;
    }
    | { readonly kind: "compare"; readonly first: Expression; readonly rest: readonly Comparison[] }
    | {
      readonly kind: "condition";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | undefined;
    }
    /** The text that a `{% filter %}` or `{% set %}` block made. */
    | { readonly kind: "block" }
  );

/** One step of `a < b <= c`. */
export interface Comparison {
  readonly operator: "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";
  readonly operand: Expression;
}

export interface Arguments {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [name: string, value: Expression])[];
  /** `*args` and `**kwargs`. */
  readonly more?: Expression | undefined;
  readonly moreNamed?: Expression | undefined;
}

/** What is assigned to: names, or an attribute of a namespace. */
export type Target =
  & { readonly line: number }
  & (
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "namespace"; readonly name: string; readonly attribute: string }
    | { readonly kind: "tuple"; readonly items: readonly Target[] }
  );

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

export type Statement =
  & { readonly line: number }
  & (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "print" | "do"; readonly value: Expression }
    | {
      readonly kind: "if";
      readonly branches: readonly (readonly [test: Expression, body: Body])[];
      readonly otherwise: Body;
    }
    | {
      readonly kind: "for";
      readonly target: Target;
      readonly items: Expression;
      readonly test: Expression | undefined;
      readonly recursive: boolean;
      readonly body: Body;
      readonly otherwise: Body;
    }
    | { readonly kind: "break" | "continue" }
    | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
    | { readonly kind: "set_block"; readonly target: Target; readonly filter: Expression; readonly body: Body }
    | { readonly kind: "filter_block"; readonly filter: Expression; readonly body: Body }
    | { readonly kind: "with"; readonly values: readonly (readonly [Target, Expression])[]; readonly body: Body }
    | { readonly kind: "generation"; readonly body: Body }
    | { readonly kind: "macro"; readonly name: string; readonly parameters: readonly Parameter[]; readonly body: Body }
    | {
      readonly kind: "call_block";
      readonly call: Expression;
      readonly parameters: readonly Parameter[];
      readonly body: Body;
    }
  );

export type Body = readonly Statement[];
