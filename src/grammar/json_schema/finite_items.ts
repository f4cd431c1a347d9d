/** Array items from a finite set of values, so that the values used so far can be tracked for `uniqueItems`. */
import type { Languages } from "../language/language.ts";
import type { ArrayShape, ScalarShape, Shape } from "./shapes.ts";

/** Maximum number of values. */
const MAX_VALUES = 256;

/** The possible values of the items. */
export class FiniteItems {
  static readonly #known = new WeakMap<ArrayShape, FiniteItems | null>();
  readonly #values: readonly ScalarShape[];
  readonly #shape: ArrayShape;

  private constructor(shape: ArrayShape, values: readonly ScalarShape[]) {
    this.#shape = shape;
    this.#values = values;
  }

  /** The items of an array, if they have one schema with finitely many values. */
  static of(shape: ArrayShape, languages: Languages): FiniteItems | undefined {
    return FiniteItems.#known.getOrInsertComputed(shape, () => FiniteItems.#find(shape, languages)) ?? undefined;
  }

  static #find(shape: ArrayShape, languages: Languages): FiniteItems | null {
    const [options = [], more] = shape.places;
    const [option, other] = options;
    if (shape.unique === undefined || more !== undefined || shape.counted.length > 0 || other !== undefined) {
      return null;
    }
    if (option === undefined || option.node.literals.length === 0) return null;
    const values: ScalarShape[] = [];
    for (const each of option.node.shapes ?? []) {
      const own = valuesOf(each, languages);
      if (own === undefined || values.length + own.length > MAX_VALUES) return null;
      values.push(...own);
    }
    return new FiniteItems(shape, values);
  }

  /** Number of values. */
  get count(): number {
    return this.#values.length;
  }

  /** Unused values, if another item is allowed. */
  left(used: readonly number[]): { readonly value: ScalarShape; readonly index: number }[] {
    if (used.length >= this.#shape.most) return [];
    return this.#values.flatMap((value, index) => used.includes(index) ? [] : [{ value, index }]);
  }

  /** Whether this many items are enough. */
  endsAt(count: number): boolean {
    return count >= this.#shape.least;
  }
}

function valuesOf(shape: Shape, languages: Languages): ScalarShape[] | undefined {
  switch (shape.type) {
    case "null":
      return [shape];
    case "boolean":
      return shape.values.map((value) => ({ type: "boolean", values: [value] }));
    case "number":
    case "string": {
      const { form } = shape.language;
      if (form.op === "empty") return [shape];
      if (form.op !== "words" || form.node.count > MAX_VALUES) return undefined;
      return [...form.node.words()].map((word) => ({ ...shape, language: languages.text(word) }));
    }
    default:
      return undefined;
  }
}
