/** How an array may continue: its length, and how many items match each `contains`. */
import type { ArrayShape, Option } from "./shapes.ts";

/** State of an array. */
export interface ArrayState {
  /** Items so far, capped where it no longer matters. */
  readonly index: number;
  /** Matching items per counter, capped where it no longer matters. */
  readonly counts: readonly number[];
}

/** A possible next item, and the state after it. */
export interface ArrayStep {
  readonly option: Option;
  readonly next: ArrayState;
}

/** The transitions of one array shape. */
export class ArrayPlan {
  readonly start: ArrayState;
  readonly #shape: ArrayShape;
  readonly #last: number;
  /** Whether items beyond the required and described ones are left out. */
  readonly #isClosed: boolean;

  /** @param isClosed Whether only described items are generated. */
  constructor(shape: ArrayShape, isClosed = false) {
    this.#shape = shape;
    this.#isClosed = isClosed && !shape.isOpen && shape.least < shape.places.length;
    const { places, least, most } = shape;
    this.#last = most === Infinity ? Math.max(places.length - 1, least) : most;
    this.start = { index: 0, counts: shape.counted.map(() => 0) };
  }

  get isPossible(): boolean {
    return this.#canEnd(this.start);
  }

  /** Whether the array may end here. */
  endsAt({ index, counts }: ArrayState): boolean {
    const { least, counted } = this.#shape;
    return index >= least && counted.every(({ least, most }, kind) => {
      const count = counts[kind] as number;
      return count >= least && count <= most;
    });
  }

  /** Possible next items from which the array can still be completed. */
  steps(state: ArrayState): ArrayStep[] {
    return this.#optionsAt(state).flatMap((option) => {
      const next = this.#after(state, option);
      return this.#canEnd(next) ? [{ option, next }] : [];
    });
  }

  #optionsAt({ index }: ArrayState): readonly Option[] {
    const { places, most } = this.#shape;
    if (index >= most || this.#isClosed && index >= places.length - 1) return [];
    return (places[Math.min(index, places.length - 1)] ?? []).filter(({ node }) => node.isPossible);
  }

  #after({ index, counts }: ArrayState, option: Option): ArrayState {
    const { most, counted } = this.#shape;
    return {
      index: most === Infinity ? Math.min(index + 1, this.#last) : index + 1,
      counts: counts.map((count, kind) => {
        const { least, most } = counted[kind] as { least: number; most: number };
        const next = option.counts.includes(kind) ? count + 1 : count;
        return most === Infinity ? Math.min(next, least) : next;
      }),
    };
  }

  /** Whether the lower bounds can still be met. */
  #canEnd({ index, counts }: ArrayState): boolean {
    const { least, most, counted, places } = this.#shape;
    const lacking = counted.map(({ least }, kind) => Math.max(0, least - (counts[kind] as number)));
    if (counted.some(({ most }, kind) => (counts[kind] as number) > most)) return false;
    const total = Math.max(least - index, lacking.length === 0 ? 0 : Math.max(...lacking), 0);
    if (total === 0) return true;
    // Index by index, up to where all are alike: the missing items come from there.
    let state: ArrayState = { index, counts };
    let left: ArrayState[] = [state];
    for (let at = index; at < places.length - 1; at++) {
      left = left.flatMap((each) => {
        if (this.endsAt(each)) return [each];
        return this.#optionsAt(each).map((option) => this.#after(each, option));
      });
      if (left.some((each) => this.endsAt(each))) return true;
      if (left.length === 0) return false;
      left = distinct(left);
    }
    const options = this.#optionsAt({ index: Math.max(index, places.length - 1), counts });
    for (state of left) {
      if (this.endsAt(state) || this.#canFill(state, options, Math.max(0, most - state.index))) return true;
    }
    return false;
  }

  /** Whether items with the same options can supply what is missing. */
  #canFill({ index, counts }: ArrayState, options: readonly Option[], most: number): boolean {
    const { least, counted } = this.#shape;
    if (options.length === 0 || index >= this.#shape.most) return false;
    const lacking = counted.map(({ least }, kind) => Math.max(0, least - (counts[kind] as number)));
    const room = counted.map(({ most }, kind) => most - (counts[kind] as number));
    const needed = Math.max(0, least - index);
    // Each missing counter by items that match it and as many other missing ones as possible.
    let items = 0;
    const left = [...lacking];
    for (let kind = left.findIndex((count) => count > 0); kind >= 0; kind = left.findIndex((count) => count > 0)) {
      const best = options.filter(({ counts }) =>
        counts.includes(kind) && counts.every((other) => (room[other] as number) > 0)
      )
        .toSorted((a, b) => gain(b, left) - gain(a, left))[0];
      if (best === undefined) return false;
      const times = Math.min(
        left[kind] as number,
        ...best.counts.map((other) => room[other] as number),
      );
      items += times;
      for (const other of best.counts) {
        left[other] = Math.max(0, (left[other] as number) - times);
        room[other] = (room[other] as number) - times;
      }
    }
    if (items > most) return false;
    if (needed <= items) return true;
    // The rest must not match counters that are at their maximum.
    return options.some(({ counts }) => counts.every((kind) => (room[kind] as number) >= needed - items));
  }
}

function gain({ counts }: Option, lacking: readonly number[]): number {
  return counts.filter((kind) => (lacking[kind] as number) > 0).length;
}

function distinct(states: readonly ArrayState[]): ArrayState[] {
  return [...new Map(states.map((state) => [`${state.index} ${state.counts.join()}`, state])).values()];
}
