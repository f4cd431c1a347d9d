/** Macros and call blocks: named parameters, defaults, and what else was passed. */
import { Problem } from "../values/error.ts";
import { Callable, Dict, type Named, orElse, Tuple, Undefined, type Value } from "../values/values.ts";
import { TextBuilder } from "../values/text.ts";
import type { Evaluate, Execute, Scope } from "./rendering.ts";

export interface Definition {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly fallback: Evaluate | undefined }[];
  readonly body: Execute;
  /** Which of `varargs`, `kwargs` and `caller` the body reads. */
  readonly reads: ReadonlySet<string>;
}

/** A macro, defined in a scope that its body sees. */
export class Macro extends Callable {
  override readonly type = "Macro";

  constructor(readonly definition: Definition, scope: Scope) {
    super(definition.name, (_run, args, named) => scope.run.within(() => invoke(definition, scope, args, named)));
  }

  override attribute(name: string): Value | undefined {
    const { parameters, reads } = this.definition;
    switch (name) {
      case "name":
        return this.definition.name;
      case "arguments":
        return new Tuple(parameters.map((parameter) => parameter.name));
      case "catch_kwargs":
        return reads.has("kwargs");
      case "catch_varargs":
        return reads.has("varargs");
      case "caller":
        return reads.has("caller");
      default:
        return undefined;
    }
  }

  override print(): string {
    return `<Macro '${this.definition.name}'>`;
  }
}

function invoke(
  { name, parameters, body, reads }: Definition,
  scope: Scope,
  args: readonly Value[],
  named: Named,
): Value {
  const inner = scope.inner();
  const left = new Map(named);
  const passed = parameters.map((parameter, i) => {
    if (args[i] !== undefined) return args[i];
    const value = left.get(parameter.name);
    left.delete(parameter.name);
    return value;
  });
  if (reads.has("caller") && !parameters.some((parameter) => parameter.name === "caller")) {
    inner.set("caller", orElse(left.get("caller"), () => new Undefined("caller", undefined, "No caller defined")));
    left.delete("caller");
  }
  if (reads.has("kwargs")) {
    inner.set("kwargs", new Dict(left));
  } else if (left.size > 0) {
    throw new Problem(`macro '${name}' takes no keyword argument '${[...left.keys()][0]}'`);
  }
  if (reads.has("varargs")) {
    inner.set("varargs", new Tuple(args.slice(parameters.length)));
  } else if (args.length > parameters.length) {
    throw new Problem(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
  }
  parameters.forEach((parameter, i) => {
    const value = passed[i] === undefined ? parameter.fallback?.(inner) : passed[i];
    inner.set(
      parameter.name,
      orElse(value, () => new Undefined(parameter.name, undefined, `parameter '${parameter.name}' was not provided`)),
    );
  });
  const out = new TextBuilder();
  body(inner, out);
  return out.text();
}
