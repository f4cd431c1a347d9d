/** One rendering of a template: its position, the values of names, and its work limits. */
import type { Work } from "../../../work/work.ts";
import { Problem } from "../values/error.ts";
import { attributeOf, itemOf } from "../library/attributes.ts";
import { FILTERS } from "../library/filters.ts";
import { GLOBALS } from "../library/globals.ts";
import type { Apply } from "../library/signature.ts";
import { TESTS } from "../library/tests.ts";
import { str } from "../values/print.ts";
import { isStr, rawOf, type Str, type TextBuilder } from "../values/text.ts";
import {
  Callable,
  costOf,
  marksCost,
  type Named,
  NONE_NAMED,
  orElse,
  type Run,
  typeName,
  Undefined,
  type Value,
} from "../values/values.ts";

/**
 * Loop rounds, calls and filters of one rendering, more for those that go through long strings and lists. A
 * conversation of 50 turns takes some thousands.
 */
const MAX_STEPS = 2_000_000;
/** Steps per time slice: some tenths of a millisecond. */
const PIECE_STEPS = 200;
/** Maximum nesting of macros and recursive loops. */
const MAX_CALLS = 200;

export class Rendering implements Run {
  /** Line of the running operation. */
  line = 1;
  #steps = 0;
  #pieceEnd = PIECE_STEPS;
  #calls = 0;

  constructor(readonly now: () => Date, readonly variables: ReadonlyMap<string, Value>) {}

  /** The value of a name that the template has not set. */
  global(name: string): Value {
    const variable = this.variables.get(name);
    return variable === undefined ? orElse(GLOBALS.get(name), () => new Undefined(name)) : variable;
  }

  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new Problem(`The template takes more than ${MAX_STEPS} steps`);
  }

  /** Whether a time slice is used up; starts the next one. */
  get pieceDone(): boolean {
    if (this.#steps < this.#pieceEnd) return false;
    this.#pieceEnd = this.#steps + PIECE_STEPS;
    return true;
  }

  /** Runs the body of a macro or of a recursive loop; the line is that of the call again afterwards. */
  within<T>(body: () => T): T {
    if (this.#calls >= MAX_CALLS) {
      throw new Problem(`Macros or loops call each other more than ${MAX_CALLS} levels deep`);
    }
    const { line } = this;
    this.spend(1);
    this.#calls++;
    const result = body();
    this.#calls--;
    this.line = line;
    return result;
  }

  attribute(value: Value, name: Str): Value {
    return attributeOf(value, rawOf(name));
  }

  element(value: Value, key: Value): Value {
    this.spend(costOf(key));
    if (isStr(value)) this.spend(costOf(value));
    return itemOf(value, key);
  }

  call(callee: Value, args: readonly Value[], named: Named = NONE_NAMED): Value {
    this.spend(1);
    if (callee instanceof Undefined) callee.fail();
    if (!(callee instanceof Callable)) throw new Problem(`'${typeName(callee)}' object is not callable`);
    return callee.call(this, args, named);
  }

  filter(name: string, value: Value, args: readonly Value[], named: Named = NONE_NAMED): Value {
    const filter = FILTERS.get(name);
    if (filter === undefined) throw new Problem(`No filter named "${name}"`);
    return this.apply(filter, value, args, named);
  }

  test(name: string, value: Value, args: readonly Value[], named: Named = NONE_NAMED): boolean {
    const test = TESTS.get(name);
    if (test === undefined) throw new Problem(`No test named "${name}"`);
    return this.apply(test, value, args, named);
  }

  /** `str(value)`. */
  print(value: Value): Str {
    this.spend(marksCost(value));
    return str(value, this);
  }

  /** Applies a filter, a test or a method, and counts the work. */
  apply<Result extends Value>(apply: Apply<Result>, subject: Value, args: readonly Value[], named: Named): Result {
    let steps = 1 + costOf(subject);
    for (const arg of args) steps += costOf(arg);
    this.spend(steps);
    const result = apply(this, subject, args, named);
    this.spend(costOf(result));
    return result;
  }
}

/** Names and their values; other names are looked up in the enclosing scope. */
export class Scope {
  // Few names are set in a scope, and many scopes are made: lists are faster than a map.
  readonly #names: string[] = [];
  readonly #values: Value[] = [];
  /** The text of the block whose filters are evaluated. */
  block: Value = "";

  constructor(readonly run: Rendering, readonly parent: Scope | undefined) {}

  get(name: string): Value {
    const at = this.#names.indexOf(name);
    if (at >= 0) return this.#values[at] as Value;
    return this.parent === undefined ? this.run.global(name) : this.parent.get(name);
  }

  set(name: string, value: Value): void {
    const at = this.#names.indexOf(name);
    this.#values[at < 0 ? this.#names.push(name) - 1 : at] = value;
  }

  inner(): Scope {
    return new Scope(this.run, this);
  }
}

export type Evaluate = (scope: Scope) => Value;

export type Outcome = "done" | "break" | "continue";

export interface Execute {
  (scope: Scope, out: TextBuilder): Outcome;
  /** The same in time slices; only if it contains a loop outside macros. */
  readonly pieces?: (scope: Scope, out: TextBuilder) => Work<Outcome>;
}
