/** What a template sees of a loop as `loop`. */
import { Problem } from "../values/error.ts";
import { isEqual } from "../values/compare.ts";
import { Callable, orElse, type Range, type Run, Tuple, Undefined, type Value } from "../values/values.ts";

/** The items of a loop, those that pass its `if`; tested as the loop reaches them. */
export class Items {
  #at = 0;

  constructor(readonly all: readonly Value[] | Range, readonly fits?: (item: Value) => boolean) {}

  next(): Value | undefined {
    const { all } = this;
    while (this.#at < all.length) {
      const item = all.at(this.#at++) as Value;
      if (this.fits === undefined || this.fits(item)) return item;
    }
    return undefined;
  }

  /** All that are left; they are tested now. */
  rest(): Value[] {
    const items: Value[] = [];
    for (let item = this.next(); item !== undefined; item = this.next()) items.push(item);
    return items;
  }
}

/** A loop's state; calling it runs a recursive loop with other items. */
export class Loop extends Callable {
  override readonly type = "LoopContext";
  #items: Items;
  #index0 = -1;
  #length: number | undefined;
  #previous: Value | undefined;
  #current: Value | undefined;
  #after: Value | undefined;
  #changed: readonly Value[] | undefined;

  constructor(items: Items, readonly depth0: number, recurse?: (run: Run, items: Value, depth0: number) => Value) {
    super("loop", (run, args) => {
      if (recurse === undefined) {
        throw new Problem("The loop must have the 'recursive' marker to be called recursively.");
      }
      const [inner] = args;
      if (inner === undefined || args.length > 1) throw new Problem(`loop() takes 1 argument, got ${args.length}`);
      return recurse(run, inner, depth0 + 1);
    });
    this.#items = items;
  }

  next(): Value | undefined {
    const item = this.#peek();
    this.#after = undefined;
    if (item === undefined) return undefined;
    this.#index0++;
    this.#previous = this.#current;
    this.#current = item;
    return item;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return this.#index0 + 1;
      case "index0":
        return this.#index0;
      case "first":
        return this.#index0 === 0;
      case "last":
        return this.#peek() === undefined;
      case "length":
        return this.#count();
      case "revindex":
        return this.#count() - this.#index0;
      case "revindex0":
        return this.#count() - this.#index0 - 1;
      case "depth":
        return this.depth0 + 1;
      case "depth0":
        return this.depth0;
      case "previtem":
        return orElse(this.#previous, () => new Undefined("", undefined, "there is no previous item"));
      case "nextitem":
        return orElse(this.#peek(), () => new Undefined("", undefined, "there is no next item"));
      case "cycle":
        return new Callable("cycle", (_run, items) => {
          if (items.length === 0) throw new Problem("no items for cycling given");
          return items[this.#index0 % items.length] as Value;
        });
      case "changed":
        return new Callable("changed", (run, values) => {
          const changed = this.#changed === undefined || !isEqual(new Tuple(this.#changed), new Tuple(values), run);
          this.#changed = values;
          return changed;
        });
      default:
        return undefined;
    }
  }

  #peek(): Value | undefined {
    if (this.#after === undefined) this.#after = this.#items.next();
    return this.#after;
  }

  #count(): number {
    if (this.#length !== undefined) return this.#length;
    if (this.#items.fits === undefined) return this.#length = this.#items.all.length;
    const rest = this.#items.rest();
    this.#items = new Items(rest);
    return this.#length = this.#index0 + 1 + (this.#after === undefined ? 0 : 1) + rest.length;
  }
}
