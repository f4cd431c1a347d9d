/** How functions, filters and methods written here take their arguments. */
import { Problem } from "../values/error.ts";
import { isStr, type Str } from "../values/text.ts";
import { isInt, type Named, type Run, typeName, Undefined, type Value } from "../values/values.ts";

/** Arguments in the order of their parameters; those not given are `undefined`. */
export type Bound = readonly (Value | undefined)[];

/** A filter, a test or a method: what it is applied to, then its arguments. */
export type Apply<Result = Value> = (run: Run, subject: Value, args: readonly Value[], named: Named) => Result;

/**
 * Gives a function its parameters.
 *
 * @param parameters The parameters' names, with spaces between; those after `/` may be left out.
 */
export function define<Subject extends Value, Result>(
  name: string,
  parameters: string,
  body: (subject: Subject, args: Bound, run: Run) => Result,
): Apply<Result> {
  const names = parameters.split(" ").filter((part) => part !== "" && part !== "/");
  const required = parameters.includes("/")
    ? parameters.split("/", 1).join().split(" ").filter(Boolean).length
    : names.length;
  return (run, subject, args, named) => body(subject as Subject, bind(name, names, required, args, named), run);
}

/** Adds to a table of methods or filters; `mark` follows their names in errors. */
export function definer<Subject extends Value>(
  table: Map<string, Apply>,
  mark: "()" | "",
): (name: string, parameters: string, body: (subject: Subject, args: Bound, run: Run) => Value) => void {
  return (name, parameters, body) => table.set(name, define<Subject, Value>(name + mark, parameters, body));
}

function bind(what: string, names: readonly string[], required: number, args: readonly Value[], named: Named): Bound {
  if (args.length > names.length) {
    throw new Problem(`${what} takes at most ${names.length} arguments, got ${args.length}`);
  }
  let bound: Bound = args;
  if (named.size > 0) {
    const all: (Value | undefined)[] = [...args];
    for (const [name, value] of named) {
      const at = names.indexOf(name);
      if (at < 0) throw new Problem(`${what} has no argument "${name}"; it takes ${names.join(", ") || "none"}`);
      if (all[at] !== undefined) throw new Problem(`${what} got two values for the argument "${name}"`);
      all[at] = value;
    }
    bound = all;
  }
  for (let i = 0; i < required; i++) {
    if (bound[i] === undefined) throw new Problem(`${what} needs the argument "${names[i]}"`);
  }
  return bound;
}

export function intArgument(value: Value | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (!isInt(value)) throw mismatch("an integer", value);
  return Number(value);
}

export function textArgument(value: Value | undefined, fallback: Str = ""): Str {
  if (value === undefined) return fallback;
  if (!isStr(value)) throw mismatch("a string", value);
  return value;
}

function mismatch(expected: string, value: Value): Problem {
  return new Problem(
    value instanceof Undefined ? value.message : `An argument must be ${expected}, not '${typeName(value)}'`,
  );
}
