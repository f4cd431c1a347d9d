/** Items out of finitely many values, so that it can be told which of them have come. */
import type { Languages } from "../language/language.ts";
import type { ArrayShape, ScalarShape, Shape } from "./shapes.ts";

/** Values that are told one by one. */
const MAX_VALUES = 256;

/** The values the items of a list may have. */
export class FiniteItems {
  static readonly #known = new WeakMap<ArrayShape, FiniteItems | null>();
  readonly #values: readonly ScalarShape[];
  readonly #shape: ArrayShape;

  private constructor(shape: ArrayShape, values: readonly ScalarShape[]) {
    this.#shape = shape;
    this.#values = values;
  }

  /** The items of a list, if they are all alike and of finitely many values. */
  static of(shape: ArrayShape, languages: Languages): FiniteItems | undefined {
    let items = FiniteItems.#known.get(shape);
    if (items === undefined) {
      items = FiniteItems.#find(shape, languages);
      FiniteItems.#known.set(shape, items);
    }
    return items ?? undefined;
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

  /** How many values there are. */
  get count(): number {
    return this.#values.length;
  }

  /** The values that have not come, if there may be another item. */
  left(used: readonly number[]): { readonly value: ScalarShape; readonly index: number }[] {
    if (used.length >= this.#shape.most) return [];
    return this.#values.flatMap((value, index) => used.includes(index) ? [] : [{ value, index }]);
  }

  /** Whether so many items are enough. */
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
