/** The functions that every template may call. */
import { Problem } from "../values/error.ts";
import { rawOf } from "../values/text.ts";
import {
  Callable,
  Dict,
  type Named,
  Range,
  type Run,
  Thing,
  typeName,
  Undefined,
  type Value,
} from "../values/values.ts";
import { pairsOf } from "./collection_methods.ts";
import { define, textArgument } from "./signature.ts";
import { strftime } from "./strftime.ts";

/** Longest range, as in Jinja's sandbox. */
const MAX_RANGE = 100_000;

/** Names that a template may set, also from inside a loop. */
export class Namespace extends Thing {
  override readonly type = "Namespace";

  constructor(readonly names: Map<string, Value>) {
    super();
  }

  override attribute(name: string): Value | undefined {
    return this.names.get(name);
  }
}

class Cycler extends Thing {
  override readonly type = "Cycler";
  #at = 0;

  constructor(readonly items: readonly Value[]) {
    super();
    if (items.length === 0) throw new Problem("at least one item has to be provided");
  }

  override attribute(name: string): Value | undefined {
    if (name === "current") return this.items[this.#at];
    if (name === "next") {
      return new Callable("next", () => {
        const current = this.items[this.#at] as Value;
        this.#at = (this.#at + 1) % this.items.length;
        return current;
      });
    }
    if (name !== "reset") return undefined;
    return new Callable("reset", () => {
      this.#at = 0;
      return null;
    });
  }
}

function range(args: readonly Value[]): Range {
  const numbers = args.map((arg) => {
    if (arg instanceof Undefined) arg.fail();
    if (typeof arg !== "boolean" && !(typeof arg === "number" && Number.isInteger(arg))) {
      throw new Problem(`'${typeName(arg)}' object cannot be interpreted as an integer`);
    }
    return Number(arg);
  });
  const [start = 0, stop = 0, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  if (numbers.length < 1 || numbers.length > 3) {
    throw new Problem(`range takes 1 to 3 arguments, got ${numbers.length}`);
  }
  if (step === 0) throw new Problem("range() arg 3 must not be zero");
  const made = new Range(start, stop, step);
  if (made.length > MAX_RANGE) throw new Problem(`Range too big. The longest range has ${MAX_RANGE} elements`);
  return made;
}

function makeDict(args: readonly Value[], named: Named): Dict {
  if (args.length > 1) throw new Problem(`dict takes at most 1 argument, got ${args.length}`);
  return new Dict([...pairsOf(args[0] ?? []), ...named]);
}

function named(
  name: string,
  parameters: string,
  body: (args: readonly (Value | undefined)[], run: Run) => Value,
): Callable {
  const apply = define<null, Value>(`${name}()`, parameters, (_subject, args, run) => body(args, run));
  return new Callable(name, (run, args, given) => apply(run, null, args, given));
}

export const GLOBALS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["range", new Callable("range", (_run, args) => range(args))],
  ["dict", new Callable("dict", (_run, args, given) => makeDict(args, given))],
  [
    "namespace",
    new Callable(
      "namespace",
      (_run, args, given) =>
        new Namespace(new Map(makeDict(args, given).pairs().map(([key, value]) => [rawOf(textArgument(key)), value]))),
    ),
  ],
  ["cycler", new Callable("cycler", (_run, items) => new Cycler(items))],
  [
    "joiner",
    named("joiner", "/ sep", ([separator = ", "]) => {
      let used = false;
      return new Callable("joiner", () => {
        const text = used ? separator : "";
        used = true;
        return text;
      });
    }),
  ],
  [
    "strftime_now",
    named("strftime_now", "format", ([format], run) => strftime(run.now(), rawOf(textArgument(format)))),
  ],
  [
    "raise_exception",
    named("raise_exception", "message", ([message], run) => {
      throw new Problem(rawOf(run.print(message as Value)), true);
    }),
  ],
]);
