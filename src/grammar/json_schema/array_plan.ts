/** How the items of an array may go on: how many there are, and how many of them count for something. */
import type { ArrayShape, Option } from "./shapes.ts";

/** Where an array is. */
export interface ArrayState {
  /** Items so far; where it no longer matters, the last number for which it does. */
  readonly index: number;
  /** How many have counted for each of what is counted, up to where it no longer matters. */
  readonly counts: readonly number[];
}

/** An item that may come, and where the array is then. */
export interface ArrayStep {
  readonly option: Option;
  readonly next: ArrayState;
}

/** The ways one shape of arrays may go on. */
export class ArrayPlan {
  readonly start: ArrayState;
  readonly #shape: ArrayShape;
  readonly #last: number;
  /** Whether no more items come than are demanded or told. */
  readonly #isClosed: boolean;

  /** @param isClosed Whether items come only where something is said of them. */
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

  /** What may come next, each only if the array can come to an end behind it. */
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

  /** Whether enough items of each kind can still come. */
  #canEnd({ index, counts }: ArrayState): boolean {
    const { least, most, counted, places } = this.#shape;
    const lacking = counted.map(({ least }, kind) => Math.max(0, least - (counts[kind] as number)));
    if (counted.some(({ most }, kind) => (counts[kind] as number) > most)) return false;
    const total = Math.max(least - index, lacking.length === 0 ? 0 : Math.max(...lacking), 0);
    if (total === 0) return true;
    // Place by place, up to where all places are alike: then as many as are lacking come from there.
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

  /** Whether items that are all of the same options make up what is lacking. */
  #canFill({ index, counts }: ArrayState, options: readonly Option[], most: number): boolean {
    const { least, counted } = this.#shape;
    if (options.length === 0 || index >= this.#shape.most) return false;
    const lacking = counted.map(({ least }, kind) => Math.max(0, least - (counts[kind] as number)));
    const room = counted.map(({ most }, kind) => most - (counts[kind] as number));
    const needed = Math.max(0, least - index);
    // Each lacking kind by items that count for it, for as many others as possible that lack too.
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
    // The rest count for nothing that has come to its most.
    return options.some(({ counts }) => counts.every((kind) => (room[kind] as number) >= needed - items));
  }
}

function gain({ counts }: Option, lacking: readonly number[]): number {
  return counts.filter((kind) => (lacking[kind] as number) > 0).length;
}

function distinct(states: readonly ArrayState[]): ArrayState[] {
  return [...new Map(states.map((state) => [`${state.index} ${state.counts.join()}`, state])).values()];
}
